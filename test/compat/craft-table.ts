/**
 * What real kernels of 6.19.10, 7.1.13 and 7.3.4 were seen to do with each case, `-` where a release does not write such
 * a handover; and the first thing that its decoder says of it, from the oldest of them on where that changes.
 */
const text = `
handoff-record-empty             | ignored                | ignored                | ignored                | handoff-malformed handoff
handoff-record-longer            | accepted               | accepted               | accepted               | none
handoff-root-empty               | ignored                | ignored                | ignored                | handoff-malformed handoff
handoff-scratch-empty            | ignored                | ignored                | ignored                | scratch-malformed scratch
handoff-scratch-too-short        | oops at boot           | oops at boot           | oops at boot           | scratch-malformed scratch
handoff-scratch-beyond-ram       | oops at boot           | oops at boot           | oops at boot           | memory-absent scratch
handoff-scratch-zeros            | oops at boot           | oops at boot           | oops at boot           | scratch-malformed scratch
root-magic                       | ignored                | ignored                | ignored                | not-a-handover
root-version                     | ignored                | ignored                | ignored                | fdt-bad-version root
root-structure-outside           | ignored                | ignored                | ignored                | fdt-bad-layout root
root-other-version               | ignored                | ignored                | ignored                | compatible-unknown compatible
root-without-version             | ignored                | ignored                | ignored                | property-missing compatible
map-missing                      | ignored                | ignored                | ignored                | property-missing preserved-memory-map
map-short-address                | ignored                | ignored                | ignored                | property-bad-length preserved-memory-map
map-address-0                    | ignored                | ignored                | ignored                | map-missing preserved-memory-map
map-beyond-ram                   | oops at boot           | oops at boot           | oops at boot           | memory-absent preserved.chunks[0] / memory-absent preserved
map-not-canonical                | oops at boot           | oops at boot           | oops at boot           | memory-absent preserved.chunks[0] / memory-absent preserved
map-chunk-beyond-ram             | oops at boot           | -                      | -                      | memory-absent preserved.chunks[3]
map-chunk-not-canonical          | oops at boot           | -                      | -                      | memory-absent preserved.chunks[3]
map-chunk-cycle                  | oops at boot           | -                      | -                      | map-cycle preserved.chunks[3]
map-chunk-overfull               | oops at boot           | -                      | -                      | map-bad-chunk preserved.chunks[0]
map-chunk-order-31               | oops at boot           | -                      | -                      | order-too-large preserved.runs
map-bitmap-address-0             | oops at boot           | -                      | -                      | map-bad-bitmap preserved.chunks[0].bitmaps[0]
map-bitmap-beyond-ram            | oops at boot           | -                      | -                      | memory-absent preserved.chunks[0].bitmaps[0]
map-child-beyond-ram             | -                      | oops at boot           | oops at boot           | memory-absent preserved[2]
map-child-not-canonical          | -                      | oops at boot           | oops at boot           | memory-absent preserved[2]
map-child-itself                 | -                      | oops at boot           | oops at boot           | map-cycle preserved[2]
map-block-beyond-ram             | oops at boot           | oops at boot           | oops at boot           | none
map-block-in-scratch             | accepted               | accepted               | accepted               | block-in-scratch scratch[1]
map-blocks-overlap               | accepted               | accepted               | accepted               | block-overlap preserved.runs
metadata-absent                  | -                      | metadata lost          | metadata lost          | none
metadata-other-version           | -                      | metadata lost          | metadata lost          | metadata-unknown-version kexec_metadata
metadata-too-small               | -                      | metadata lost          | metadata lost          | blob-size-mismatch kexec_metadata
metadata-unterminated            | -                      | accepted               | accepted               | string-unterminated kexec_metadata.previous_release
metadata-without-size            | -                      | metadata lost          | metadata lost          | property-missing subtrees.kexec-metadata.blob-size
metadata-beyond-ram              | -                      | oops at boot           | oops at boot           | memory-absent subtrees.kexec-metadata
reserve-mem-other-version        | region lost            | region lost            | region lost            | reserve-mem-malformed reserve_mem.compatible
reserve-mem-region-other-version | region lost            | region lost            | region lost            | reserve-mem-malformed reserve_mem.trace.compatible
reserve-mem-without-start        | region lost            | region lost            | region lost            | reserve-mem-malformed reserve_mem.trace.start
reserve-mem-short-size           | region lost            | region lost            | region lost            | reserve-mem-malformed reserve_mem.trace.size
reserve-mem-unaligned            | region lost            | region lost            | region lost            | page-not-preserved reserve_mem.trace
reserve-mem-other-size           | region lost            | region lost            | region lost            | none
reserve-mem-beyond-ram           | oops at boot           | oops at boot           | oops at boot           | memory-absent subtrees.memblock
reserve-mem-without-size-of-blob | -                      | region lost            | region lost            | property-missing subtrees.memblock.blob-size
luo-subtree-absent               | session refused ENOENT | session refused ENOENT | session refused ENOENT | none
luo-subtree-without-address      | panic EINVAL           | panic EINVAL           | panic EINVAL           | property-missing subtrees.LUO.fdt / property-missing subtrees.LUO.preserved-data
luo-subtree-short-address        | panic EINVAL           | panic EINVAL           | panic EINVAL           | property-bad-length subtrees.LUO.fdt / property-bad-length subtrees.LUO.preserved-data
luo-subtree-address-0            | panic EINVAL           | panic EINVAL           | panic EINVAL           | bad-address subtrees.LUO
luo-subtree-beyond-ram           | oops at boot           | oops at boot           | oops at boot           | memory-absent subtrees.LUO
luo-subtree-without-size         | -                      | panic EINVAL           | panic EINVAL           | property-missing subtrees.LUO.blob-size
luo-subtree-short-size           | -                      | panic EINVAL           | panic EINVAL           | property-bad-length subtrees.LUO.blob-size
luo-blob-too-small               | -                      | accepted               | panic EINVAL           | blob-size-mismatch subtrees.LUO / blob-size-mismatch luo
luo-blob-larger                  | -                      | accepted               | accepted               | blob-size-mismatch subtrees.LUO / none
luo-other-version                | panic EINVAL           | panic EINVAL           | panic EINVAL           | compatible-unknown luo.compatible
luo-version-last-byte            | -                      | -                      | accepted               | none
luo-number-missing               | panic EINVAL           | panic EINVAL           | -                      | property-missing luo.liveupdate-number
luo-number-short                 | panic EINVAL           | panic EINVAL           | -                      | property-bad-length luo.liveupdate-number
luo-session-node-missing         | panic EINVAL           | panic EINVAL           | -                      | property-missing luo.luo-session
luo-session-other-version        | panic EINVAL           | panic EINVAL           | -                      | compatible-mismatch luo.luo-session
luo-session-header-missing       | panic EINVAL           | panic EINVAL           | -                      | property-missing luo.luo-session.luo-session-header
luo-session-header-short         | panic EINVAL           | panic EINVAL           | -                      | property-bad-length luo.luo-session.luo-session-header
luo-flb-node-missing             | -                      | panic ENOENT           | -                      | flb-missing luo.luo-flb
luo-flb-other-version            | -                      | panic EINVAL           | -                      | compatible-mismatch luo.luo-flb
luo-flb-header-missing           | -                      | panic EINVAL           | -                      | property-missing luo.luo-flb.luo-flb-header
luo-flb-header-short             | -                      | panic EINVAL           | -                      | property-bad-length luo.luo-flb.luo-flb-header
luo-sessions-address-0           | oops at open           | oops at open           | session refused ENOENT | bad-address luo.sessions / none
luo-sessions-beyond-ram          | oops at open           | oops at open           | oops at boot           | memory-absent luo.sessions / memory-absent luo.sessions.blocks[0]
luo-flbs-address-0               | -                      | -                      | FLB lost               | none
luo-flbs-beyond-ram              | -                      | oops at boot           | oops at boot           | memory-absent luo.flbs
session-list-cycle               | -                      | -                      | panic EINVAL           | block-list-cycle luo.sessions.blocks[1]
session-block-empty              | -                      | -                      | panic EINVAL           | block-bad-count luo.sessions.blocks[0]
session-block-overfull           | -                      | -                      | panic EINVAL           | block-bad-count luo.sessions.blocks[0]
session-next-beyond-ram          | -                      | -                      | oops at boot           | memory-absent luo.sessions.blocks[1]
session-next-not-canonical       | -                      | -                      | oops at boot           | memory-absent luo.sessions.blocks[1]
session-next-memfd               | -                      | -                      | panic EINVAL           | block-bad-count luo.sessions.blocks[1]
session-next-file-block          | -                      | -                      | oops at open           | structure-reused luo.sessions.blocks[1]
session-blocks-too-many          | -                      | -                      | panic ENOSPC           | block-list-too-long luo.sessions.blocks[10000]
session-count-too-large          | open refused EEXIST    | open refused EEXIST    | -                      | session-count luo.sessions.count
session-count-one-more           | accepted               | accepted               | -                      | string-empty luo.sessions[2].name
session-duplicate-name           | open refused EEXIST    | open refused EEXIST    | open refused EEXIST    | session-duplicate luo.sessions[1].name
session-two-empty-names          | open refused EEXIST    | open refused EEXIST    | open refused EEXIST    | session-duplicate luo.sessions[1].name
session-empty-name               | session refused ENOENT | session refused ENOENT | session refused ENOENT | string-empty luo.sessions[1].name
session-name-unterminated        | accepted               | accepted               | accepted               | string-unterminated luo.sessions[1].name
session-names-same-once-cut      | open refused EEXIST    | open refused EEXIST    | open refused EEXIST    | session-duplicate luo.sessions[1].name
session-duplicate-in-next-block  | -                      | -                      | open refused EEXIST    | session-duplicate luo.sessions[51].name
session-refused-duplicate        | -                      | -                      | panic EINVAL           | block-bad-count luo.sessions.blocks[1]
session-files-nowhere            | file refused ENOENT    | file refused ENOENT    | file refused ENOENT    | file-count luo.sessions[1].files.count
session-files-not-counted        | file refused ENOENT    | file refused ENOENT    | open refused EINVAL    | none / file-count luo.sessions[1].files.count
session-files-beyond-ram         | oops at open           | oops at open           | oops at open           | memory-absent luo.sessions[1].files / memory-absent luo.sessions[1].files.blocks[0]
file-list-cycle                  | -                      | -                      | open refused EINVAL    | block-list-cycle luo.sessions[0].files.blocks[1]
file-block-empty                 | -                      | -                      | open refused EINVAL    | block-bad-count luo.sessions[0].files.blocks[0]
file-block-overfull              | -                      | -                      | open refused EINVAL    | block-bad-count luo.sessions[0].files.blocks[0]
file-next-beyond-ram             | -                      | -                      | oops at open           | memory-absent luo.sessions[0].files.blocks[1]
file-next-not-canonical          | -                      | -                      | oops at open           | memory-absent luo.sessions[0].files.blocks[1]
file-block-of-another-session    | -                      | -                      | file refused EINVAL    | structure-reused luo.sessions[1].files.blocks[0]
file-blocks-too-many             | -                      | -                      | open refused ENOSPC    | block-list-too-long luo.sessions[1].files.blocks[10000]
file-count-one-more              | warning                | open refused ENOENT    | open refused EINVAL    | string-empty luo.sessions[0].files[2].compatible / file-count luo.sessions[0].files.count
file-record-of-zeros             | -                      | -                      | open refused ENOENT    | string-empty luo.sessions[0].files[2].compatible
file-count-too-large             | warning                | open refused ENOENT    | -                      | file-count luo.sessions[0].files.count
file-unknown-handler             | file refused ENOENT    | open refused ENOENT    | open refused ENOENT    | file-unknown-handler luo.sessions[0].files[1].compatible
file-empty-handler               | file refused ENOENT    | open refused ENOENT    | open refused ENOENT    | string-empty luo.sessions[0].files[1].compatible
file-handler-unterminated        | file refused ENOENT    | open refused ENOENT    | open refused ENOENT    | string-unterminated luo.sessions[0].files[1].compatible
file-duplicate-token             | accepted               | accepted               | accepted               | file-duplicate-token luo.sessions[0].files[1].token
flb-count-too-large              | -                      | accepted               | accepted               | flb-count luo.flbs.count
flb-search-without-end           | -                      | oops at boot           | oops at boot           | flb-count luo.flbs.count
flb-page-count                   | -                      | accepted               | accepted               | flb-count luo.flbs.pgcnt
flb-not-listed                   | -                      | FLB lost               | FLB lost               | none
flb-name-unterminated            | -                      | FLB lost               | FLB lost               | string-unterminated luo.flbs[1].name
flb-without-references           | -                      | FLB kept               | FLB kept               | flb-count luo.flbs[1].count
memfd-data-0                     | file refused EINVAL    | file refused EOPNOTSUPP| file refused EOPNOTSUPP| memfd-bad-header luo.sessions[0].files[0].memfd
memfd-data-beyond-ram            | file oops              | file oops              | file oops              | memory-absent luo.sessions[0].files[0].memfd
memfd-data-not-canonical         | file oops              | file oops              | file oops              | memory-absent luo.sessions[0].files[0].memfd
memfd-unknown-seals              | -                      | file refused EOPNOTSUPP| file refused EOPNOTSUPP| memfd-bad-seals luo.sessions[0].files[0].memfd.seals
memfd-flags                      | -                      | accepted               | accepted               | memfd-bad-header luo.sessions[0].files[0].memfd.flags
memfd-negative-position          | position differs       | position differs       | position differs       | memfd-bad-position luo.sessions[0].files[0].memfd.pos
memfd-position-beyond-size       | position differs       | position differs       | position differs       | none
memfd-size-0                     | size differs           | size differs           | size differs           | folio-bad-index luo.sessions[0].files[0].memfd.folios[0]
memfd-size-smaller               | size differs           | size differs           | size differs           | folio-bad-index luo.sessions[0].files[0].memfd.folios[1]
memfd-size-larger                | size differs           | size differs           | size differs           | none
memfd-negative-size              | size differs           | size differs           | size differs           | memfd-bad-size luo.sessions[0].files[0].memfd.size
memfd-without-folios             | content differs        | content differs        | content differs        | memfd-bad-size luo.sessions[0].files[0].memfd.nr_folios
memfd-folios-unwritten           | accepted               | accepted               | accepted               | none
memfd-folios-too-many            | file oops              | file oops              | file oops              | folio-count luo.sessions[0].files[0].memfd.nr_folios
memfd-list-without-chunk         | file refused EINVAL    | file refused EINVAL    | file refused EINVAL    | vmalloc-bad-count luo.sessions[0].files[0].memfd.folios
memfd-chunk-beyond-ram           | file oops              | file oops              | file oops              | memory-absent luo.sessions[0].files[0].memfd.folios.chunks[0]
memfd-chunk-not-canonical        | file oops              | file oops              | file oops              | memory-absent luo.sessions[0].files[0].memfd.folios.chunks[0]
memfd-chunk-cycle                | file refused EINVAL    | file refused EINVAL    | file refused EINVAL    | vmalloc-bad-chunk luo.sessions[0].files[0].memfd.folios.chunks[1]
memfd-chunk-not-preserved        | file refused EINVAL    | file refused EINVAL    | file refused EINVAL    | page-not-preserved luo.sessions[0].files[0].memfd.folios.chunks[0]
memfd-list-pages-more            | file refused EINVAL    | file refused EINVAL    | file refused EINVAL    | vmalloc-bad-count luo.sessions[0].files[0].memfd.folios
memfd-list-pages-fewer           | file refused EINVAL    | file refused EINVAL    | file refused EINVAL    | vmalloc-bad-count luo.sessions[0].files[0].memfd.folios.chunks[0]
memfd-list-order                 | file refused EINVAL    | file refused EINVAL    | file refused EINVAL    | vmalloc-bad-count luo.sessions[0].files[0].memfd.folios.chunks[0]
memfd-list-flags                 | accepted               | accepted               | accepted               | none
memfd-list-page-beyond-ram       | file refused EINVAL    | file refused EINVAL    | file refused EINVAL    | memory-absent luo.sessions[0].files[0].memfd.folios
memfd-list-page-low-bits         | accepted               | accepted               | accepted               | vmalloc-bad-chunk luo.sessions[0].files[0].memfd.folios.chunks[0]
memfd-list-not-preserved         | file refused EINVAL    | file refused EINVAL    | file refused EINVAL    | page-not-preserved luo.sessions[0].files[0].memfd.folios
folio-beyond-ram                 | file refused EIO       | file refused EIO       | file refused EIO       | folio-not-preserved luo.sessions[0].files[0].memfd.folios[0]
folio-not-preserved              | file refused EIO       | file refused EIO       | file refused EIO       | folio-not-preserved luo.sessions[0].files[0].memfd.folios[0]
folio-not-preserved-later        | content differs        | file refused EIO       | file refused EIO       | folio-not-preserved luo.sessions[0].files[0].memfd.folios[2]
folio-inside-of-block            | content differs        | file refused EIO       | file refused EIO       | folio-not-preserved luo.sessions[0].files[0].memfd.folios[1]
folio-used-twice                 | content differs        | file refused EIO       | file refused EIO       | folio-shared luo.sessions[0].files[0].memfd.folios
folio-smaller-order              | content differs        | content differs        | content differs        | none
folio-index-twice                | file refused EEXIST    | file refused EEXIST    | file refused EEXIST    | folio-bad-index luo.sessions[0].files[0].memfd.folios
folio-index-descending           | accepted               | accepted               | accepted               | folio-bad-index luo.sessions[0].files[0].memfd.folios[2]
folio-index-beyond-size          | content differs        | content differs        | content differs        | folio-bad-index luo.sessions[0].files[0].memfd.folios[3]
folio-index-unaligned            | warning                | warning                | warning                | folio-bad-index luo.sessions[0].files[0].memfd.folios[1]
`;

export interface CraftRow {
  readonly name: string;
  /** By release. */
  readonly does: readonly [string, string, string];
  /** Code and path, by release; `none` where decoders have nothing to say. */
  readonly finds: readonly string[];
}

export const craftTable: readonly CraftRow[] = text
  .trim()
  .split("\n")
  .map((line) => {
    const [name = "", first = "", second = "", third = "", finds = ""] = line
      .split("|")
      .map((cell) => cell.trim());
    return { name, does: [first, second, third], finds: finds.split(" / ") };
  });
