/**
 * Every code that an error or a finding can carry, with what it means. The set is closed: the interchange
 * form, the consequence table and the documentation all read this object. Grouped by who is at fault.
 */
export const codes = {
  // The caller.
  usage: "an argument is missing, malformed or contradicts another",
  "unknown-release": "no formats are known for the kernel release named",
  "unknown-layout": "no layout of that name exists for that release",
  "scenario-malformed":
    "a scenario is no JSON of the form that kho.v1.Scenario has, or asks for what cannot be",
  "policy-malformed": "a policy file is no JSON of the form that a policy has",
  "not-found": "the session, file, subtree or structure asked for is not in this handover",

  "bytes-short": "the bytes end before the structure that was asked for",
  "value-range": "a value does not fit the field that it is to be written to",
  "layout-malformed": "a layout contradicts itself",
  refused: "the simulated kernel refuses the call, with the errno of the release",
  "machine-misuse": "the simulated machine is asked for something that no machine could do",
  "iommu-fault": "an access of a simulated device is refused by its IOMMU",
  "machine-oops": "the simulated kernel runs into an unhandled fault, which kills the caller",

  // The machine that kho runs on.
  io: "reading or writing a file failed",
  "decompression-limit": "a compressed file expands beyond the limit",
  "limit-exceeded": "a structure asks for more work than the limits allow",

  // The container: the file that holds the memory.
  "not-a-handover": "the file holds no KHO handover that could be found",
  "unsupported-container": "the file, or what is in it, cannot be read as physical memory here",
  "container-guessed": "nothing tells what the file is; it is taken for raw memory",
  "decompression-failed": "the compressed data is damaged",
  "elf-malformed": "the ELF core's headers contradict themselves or the file",
  "elf-truncated": "the ELF core promises more bytes than the file holds",
  "segment-overlap": "two segments claim the same physical addresses",
  "truncated-capture": "the copied file ends before the structure it holds",
  "stale-blob": "a debugfs file shows memory that the kernel had already reused",
  "symlink-refused": "a symbolic link in a copied folder leads out of it",
  "meta-malformed": "the side file with the roots of the handover cannot be used",
  "memory-absent": "the capture does not contain this physical memory",

  // A kernel's own description of its structures.
  "kernel-image-unknown": "the file is no kernel, vmlinux or BTF that can be read",
  "btf-malformed": "the types of a kernel (BTF) contradict themselves or end early",
  "btf-split": "the types (BTF) are those of a module, which make no sense without its kernel's",
  "btf-missing": "the kernel image has no types (BTF) in it, and they are needed",
  "version-section-malformed":
    "a section that lists what live update of a kernel image takes is not of its form",

  // Finding the root.
  "handoff-malformed": "the hand-off record does not have the form that the kernel writes",
  "handoff-cycle": "the setup_data list does not end",
  "root-ambiguous": "several roots are plausible, one was chosen",
  "scratch-malformed": "the scratch array is empty, unreadable or has impossible areas",

  // Flattened device trees.
  "fdt-bad-magic": "the blob does not begin with d0 0d fe ed",
  "fdt-bad-version": "the version fields are outside what the kernel's parser takes",
  "fdt-bad-layout": "the header's offsets and sizes do not fit into the blob",
  "fdt-unaligned": "a block of the blob is not aligned as the specification demands",
  "fdt-bad-structure": "the structure block is malformed",
  "fdt-bad-string": "a property name lies outside the strings block or is not terminated",
  "fdt-truncated": "the blob ends before totalsize",
  "fdt-no-space": "an edit needs more bytes than the tree has room for",
  "fdt-exists": "a node of that name is there already",
  "fdt-missing": "there is no such node or property to edit",

  // The root tree and what hangs from it.
  "compatible-unknown": "the version string is of no known release",
  "compatible-mismatch": "the version string is not the one this release accepts",
  "property-missing": "a property or node that the reader needs is absent",
  "property-bad-length": "a property does not have the length that the reader needs",
  "map-missing": "the root has no memory map: nothing was finalized",
  "map-overwritten": "the memory map's pages are in use for something else",
  "map-bad-chunk": "a chunk of the memory map is malformed",
  "map-bad-bitmap": "a bitmap of the memory map is malformed or misplaced",
  "map-bad-node": "a node of the radix tree is unaligned or misplaced",
  "map-bad-key": "a key of the radix tree does not name a block of memory",
  "order-too-large": "the reading kernel cannot represent blocks of this order",
  "map-cycle": "the memory map refers to a page of its own twice",
  "bitmap-size-guessed": "nothing in the capture decides how large the bitmaps are",
  "blob-size-mismatch": "the size of a subtree's blob is not what its format needs",
  "bad-address": "an address cannot be right",

  // Building blocks.
  "vmalloc-bad-chunk": "a chunk of a preserved vmalloc area is malformed",
  "vmalloc-bad-count": "a vmalloc area lists more or fewer pages than it says",
  "block-bad-count": "a serialization block holds no records or more than fit",
  "block-list-cycle": "a list of serialization blocks runs in a circle",
  "block-list-too-long": "a list has more serialization blocks than the kernel reads",
  "structure-reused": "two structures claim the same page",
  "string-unterminated": "a fixed-size string has no NUL",
  "string-empty": "a name is empty",
  "metadata-unknown-version": "the kexec metadata is of a version that the reader does not take",
  "reserve-mem-malformed": "a reserve_mem region is described incompletely",
  "kho-test-malformed": "the KHO test module's subtree is not what its reader expects",
  "kho-test-checksum": "the test folios do not add up to the recorded checksum",

  // Live update.
  "session-count": "the number of sessions does not fit the area that holds them",
  "session-duplicate": "two sessions have the same name",
  "file-count": "the number of files does not agree with where they are stored",
  "file-duplicate-token": "two files of one session have the same token",
  "file-unknown-handler": "no handler of this release has that name",
  "flb-count": "the number of FLBs does not fit the page that holds them",
  "flb-missing": "the FLB area that this release demands is absent",
  "flb-ignored": "this release does not read FLBs",
  "memfd-bad-header": "the memfd's own structure is malformed",
  "memfd-bad-seals": "the seals contain bits that no kernel knows",
  "memfd-bad-position": "the file position cannot be taken over",
  "memfd-bad-size": "the file size contradicts the folios",
  "folio-count": "the number of folios does not fit the array that holds them",
  "folio-bad-index": "a folio's index is out of order, misaligned or already covered",
  "folio-not-preserved": "a folio's page is not the start of a preserved block",
  "folio-shared": "a page serves two files or two places in one file",

  // Translation structures of IOMMUs.
  "iommu-root-malformed": "the root register does not name a table that can be read",
  "iommu-mode-guessed": "the root does not say how it is to be read, and what it leads to decided",
  "iommu-bad-context": "a device's entry says what hardware does not take",
  "iommu-bad-entry": "an entry of a page table is nothing that its format has there",
  "iommu-reserved-bits": "bits are set that have to be zero",
  "iommu-replicas-differ": "the entries that make up one large page differ",
  "iommu-table-cycle": "a page table leads back to itself",
  "iommu-table-shared": "a page table is reached more than once",
  "iommu-table-writable": "a device can write to the tables that say what it can write to",
  "iommu-mapped-lost": "a device can reach memory that is not preserved",
  "iommu-mapped-scratch": "a device can reach scratch, which the next kernel overwrites",

  "systemd-mapping": "the session of systemd does not hold a mapping that can be read",

  // IOMMU state of proposed series.
  "unknown-series": "no proposed series of that name is known",
  "iommu-state-version": "the root of the IOMMU state is of a version that the series does not take",
  "iommu-state-cycle": "pages of IOMMU records refer to each other in a circle",
  "iommu-state-count": "a number of IOMMU records does not agree with the pages that hold them",
  "iommu-state-duplicate": "two IOMMU records are found by the same numbers",
  "iommu-state-link": "a record refers to none, or to one that was deleted",
  "iommu-state-value": "a member of an IOMMU record has a value that no kernel hands over",

  // Cross-checks over the whole graph.
  "page-not-preserved": "a structure lies in memory that is not preserved",
  "order-mismatch": "a structure's pages are preserved with another order than its reader frees",
  "block-overlap": "preserved blocks of different orders cover the same memory",
  "block-in-scratch": "preserved memory lies in scratch, which the next kernel overwrites",
  "not-reproduced": "what was decoded gives other bytes when it is written than it was decoded from",
  "structure-in-scratch": "a structure lies in scratch, which the next kernel overwrites",
} as const;

/** One of the closed set of codes of {@link codes}. */
export type Code = keyof typeof codes;
