;; Finds the edges of a bitmap; the twin of `plainEdges` in bitmap-edges.ts.
;; Memory: at 0 eight words of zeros, of which the last stands before the first word of the bitmap; at 64 the bitmap, at most
;; 64 KiB, padded with zeros to blocks of 64 bytes; at 0x10100, for each byte, which of its bits are set, 8 bytes each; at
;; 0x11000 the numbers of the words that have edges, u16; at 0x16000 the edges, u32. Both lists are written eight at a time,
;; and what is behind their end is overwritten next.
(module
  (memory (export "memory") 34)
  (func $make_table
    (local $byte i32) (local $left i32) (local $at i32)
    (loop $next
      (local.set $at (i32.shl (local.get $byte) (i32.const 3)))
      (local.set $left (local.get $byte))
      (block $done
        (loop $bit
          (br_if $done (i32.eqz (local.get $left)))
          (i32.store8 offset=0x10100 (local.get $at) (i32.ctz (local.get $left)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $left (i32.and (local.get $left) (i32.sub (local.get $left) (i32.const 1))))
          (br $bit)))
      (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $byte) (i32.const 256)))))
  (start $make_table)

  ;; `size` is the bitmap's length with its padding. Gives the number of edges.
  (func (export "edges") (param $size i32) (result i32)
    (local $p i32) (local $listed i32) (local $list i32) (local $out i32)
    (local $mask i32) (local $count i32) (local $word i64) (local $edges i64)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $start v128)
    ;; Which words have edges? No branch depends on the bitmap here.
    (local.set $list (i32.const 0x11000))
    (block $known
      (loop $block
        (br_if $known (i32.ge_u (local.get $p) (local.get $size)))
        ;; All ones for words without an edge, which are what they are one bit further.
        (local.set $a
          (i64x2.eq
            (v128.load offset=64 (local.get $p))
            (v128.or
              (i64x2.shl (v128.load offset=64 (local.get $p)) (i32.const 1))
              (i64x2.shr_u (v128.load offset=56 align=8 (local.get $p)) (i32.const 63)))))
        (local.set $b
          (i64x2.eq
            (v128.load offset=80 (local.get $p))
            (v128.or
              (i64x2.shl (v128.load offset=80 (local.get $p)) (i32.const 1))
              (i64x2.shr_u (v128.load offset=72 align=8 (local.get $p)) (i32.const 63)))))
        (local.set $c
          (i64x2.eq
            (v128.load offset=96 (local.get $p))
            (v128.or
              (i64x2.shl (v128.load offset=96 (local.get $p)) (i32.const 1))
              (i64x2.shr_u (v128.load offset=88 align=8 (local.get $p)) (i32.const 63)))))
        (local.set $d
          (i64x2.eq
            (v128.load offset=112 (local.get $p))
            (v128.or
              (i64x2.shl (v128.load offset=112 (local.get $p)) (i32.const 1))
              (i64x2.shr_u (v128.load offset=104 align=8 (local.get $p)) (i32.const 63)))))
        (local.set $mask
          (i32.xor
            (i32.const 0xff)
            (i16x8.bitmask
              (i16x8.narrow_i32x4_s
                (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $a) (local.get $b))
                (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $c) (local.get $d))))))
        (v128.store align=2 (local.get $list)
          (i16x8.add
            (i16x8.splat (i32.shr_u (local.get $p) (i32.const 3)))
            (v128.load8x8_u offset=0x10100 (i32.shl (local.get $mask) (i32.const 3)))))
        (local.set $list
          (i32.add (local.get $list) (i32.shl (i32.popcnt (local.get $mask)) (i32.const 1))))
        (local.set $p (i32.add (local.get $p) (i32.const 64)))
        (br $block)))
    ;; The edges of these words.
    (local.set $listed (i32.const 0x11000))
    (local.set $out (i32.const 0x16000))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $listed) (local.get $list)))
        (local.set $p (i32.shl (i32.load16_u (local.get $listed)) (i32.const 3)))
        (local.set $listed (i32.add (local.get $listed) (i32.const 2)))
        (local.set $word (i64.load offset=64 (local.get $p)))
        (local.set $edges
          (i64.xor
            (local.get $word)
            (i64.or
              (i64.shl (local.get $word) (i64.const 1))
              (i64.shr_u (i64.load offset=56 (local.get $p)) (i64.const 63)))))
        (local.set $count (i32.wrap_i64 (i64.popcnt (local.get $edges))))
        (local.set $p (i32.shl (local.get $p) (i32.const 3)))
        (if (i32.le_u (local.get $count) (i32.const 2))
          (then
            ;; Most have one or two: both are written whether there are two or not.
            (i32.store (local.get $out)
              (i32.add (local.get $p) (i32.wrap_i64 (i64.ctz (local.get $edges)))))
            (i32.store offset=4 (local.get $out)
              (i32.sub
                (i32.add (local.get $p) (i32.const 63))
                (i32.wrap_i64 (i64.clz (local.get $edges)))))
            (local.set $out (i32.add (local.get $out) (i32.shl (local.get $count) (i32.const 2)))))
          (else
            ;; Eight bits at a time, from the table.
            (local.set $start (i32x4.splat (local.get $p)))
            (loop $byte
              (local.set $mask (i32.and (i32.wrap_i64 (local.get $edges)) (i32.const 0xff)))
              (local.set $a
                (v128.load8x8_u offset=0x10100 (i32.shl (local.get $mask) (i32.const 3))))
              (v128.store align=4 (local.get $out)
                (i32x4.add (local.get $start) (i32x4.extend_low_i16x8_u (local.get $a))))
              (v128.store offset=16 align=4 (local.get $out)
                (i32x4.add (local.get $start) (i32x4.extend_high_i16x8_u (local.get $a))))
              (local.set $out
                (i32.add (local.get $out) (i32.shl (i32.popcnt (local.get $mask)) (i32.const 2))))
              (local.set $start (i32x4.add (local.get $start) (i32x4.splat (i32.const 8))))
              (local.set $edges (i64.shr_u (local.get $edges) (i64.const 8)))
              (br_if $byte (i64.ne (local.get $edges) (i64.const 0))))))
        (br $next)))
    ;; What goes on to the end of the bitmap ends there. If that is padded, it has ended by itself.
    (if (i64.lt_s (i64.load offset=56 (local.get $size)) (i64.const 0))
      (then
        (i32.store (local.get $out) (i32.shl (local.get $size) (i32.const 3)))
        (local.set $out (i32.add (local.get $out) (i32.const 4)))))
    (i32.shr_u (i32.sub (local.get $out) (i32.const 0x16000)) (i32.const 2))))
