;; Moves columns between rows and numbers one behind another; the twin of the loops in column-loops.ts and
;; encode-column-loops.ts for little-endian units.
;; Memory: at 0x400 rows, 64 KiB, with room for 8 bytes behind them; at 0x10c00 one column of them, 32 KiB; at 0x19400
;; a second one of 16 bits, 8 KiB. None begins where a page or a large array does: copies between places that are alike in
;; their low 12 bits are four times as slow.
;; `count` is a multiple of 4, more than 0. `from` or `to` is where the first row's unit is, `stride` how far the next one
;; is. A unit is taken as 8 bytes, even if it has fewer: `shift` and `width` say which bits are the number.
(module
  (memory (export "memory") 2)

  (func $mask (param $width i32) (result i64)
    (i64.shr_u (i64.const -1) (i64.extend_i32_u (i32.sub (i32.const 64) (local.get $width)))))

  ;; Integers with a sign, or of less than 64 bits, to doubles.
  (func (export "readDoubles")
    (param $count i32) (param $from i32) (param $stride i32) (param $shift i32) (param $width i32)
    (local $to i32) (local $end i32) (local $bits i64) (local $mask i64)
    (local.set $to (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 3))))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (local.set $mask (call $mask (local.get $width)))
    (loop $next
      (f64.store (local.get $to)
        (f64.convert_i64_s
          (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask))))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=8 (local.get $to)
        (f64.convert_i64_s
          (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask))))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=16 (local.get $to)
        (f64.convert_i64_s
          (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask))))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=24 (local.get $to)
        (f64.convert_i64_s
          (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask))))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (local.set $to (i32.add (local.get $to) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $to) (local.get $end)))))

  ;; Whole units of 64 bits without a sign to doubles.
  (func (export "readWhole") (param $count i32) (param $from i32) (param $stride i32)
    (local $to i32) (local $end i32)
    (local.set $to (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 3))))
    (loop $next
      (f64.store (local.get $to) (f64.convert_i64_u (i64.load align=1 (local.get $from))))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=8 (local.get $to) (f64.convert_i64_u (i64.load align=1 (local.get $from))))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=16 (local.get $to) (f64.convert_i64_u (i64.load align=1 (local.get $from))))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=24 (local.get $to) (f64.convert_i64_u (i64.load align=1 (local.get $from))))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (local.set $to (i32.add (local.get $to) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $to) (local.get $end)))))

  ;; Doubles that begin a unit, and what shares it, of up to 16 bits.
  (func (export "readPairs")
    (param $count i32) (param $from i32) (param $stride i32) (param $shift i32) (param $width i32) (param $own i32)
    (local $to i32) (local $mate i32) (local $end i32)
    (local $unit i64) (local $bits i64) (local $mask i64) (local $mates i64)
    (local.set $to (i32.const 0x10c00))
    (local.set $mate (i32.const 0x19400))
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 3))))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (local.set $mask (call $mask (local.get $own)))
    (local.set $mates (call $mask (local.get $width)))
    (loop $next
      (local.set $unit (i64.load align=1 (local.get $from)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store (local.get $to) (f64.convert_i64_s (i64.and (local.get $unit) (local.get $mask))))
      (i64.store16 (local.get $mate)
        (i64.and (i64.shr_u (local.get $unit) (local.get $bits)) (local.get $mates)))
      (local.set $unit (i64.load align=1 (local.get $from)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=8 (local.get $to) (f64.convert_i64_s (i64.and (local.get $unit) (local.get $mask))))
      (i64.store16 offset=2 (local.get $mate)
        (i64.and (i64.shr_u (local.get $unit) (local.get $bits)) (local.get $mates)))
      (local.set $unit (i64.load align=1 (local.get $from)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=16 (local.get $to) (f64.convert_i64_s (i64.and (local.get $unit) (local.get $mask))))
      (i64.store16 offset=4 (local.get $mate)
        (i64.and (i64.shr_u (local.get $unit) (local.get $bits)) (local.get $mates)))
      (local.set $unit (i64.load align=1 (local.get $from)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (f64.store offset=24 (local.get $to) (f64.convert_i64_s (i64.and (local.get $unit) (local.get $mask))))
      (i64.store16 offset=6 (local.get $mate)
        (i64.and (i64.shr_u (local.get $unit) (local.get $bits)) (local.get $mates)))
      (local.set $to (i32.add (local.get $to) (i32.const 32)))
      (local.set $mate (i32.add (local.get $mate) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $to) (local.get $end)))))

  ;; Integers of up to 8, 16 and 32 bits. Cutting them off restores a sign.
  (func (export "read8")
    (param $count i32) (param $from i32) (param $stride i32) (param $shift i32) (param $width i32)
    (local $to i32) (local $end i32) (local $bits i64) (local $mask i64)
    (local.set $to (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $to) (local.get $count)))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (local.set $mask (call $mask (local.get $width)))
    (loop $next
      (i64.store8 (local.get $to)
        (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $to) (local.get $end)))))

  (func (export "read16")
    (param $count i32) (param $from i32) (param $stride i32) (param $shift i32) (param $width i32)
    (local $to i32) (local $end i32) (local $bits i64) (local $mask i64)
    (local.set $to (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 1))))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (local.set $mask (call $mask (local.get $width)))
    (loop $next
      (i64.store16 (local.get $to)
        (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (i64.store16 offset=2 (local.get $to)
        (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (i64.store16 offset=4 (local.get $to)
        (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (i64.store16 offset=6 (local.get $to)
        (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (local.set $to (i32.add (local.get $to) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $to) (local.get $end)))))

  (func (export "read32")
    (param $count i32) (param $from i32) (param $stride i32) (param $shift i32) (param $width i32)
    (local $to i32) (local $end i32) (local $bits i64) (local $mask i64)
    (local.set $to (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (local.set $mask (call $mask (local.get $width)))
    (loop $next
      (i64.store32 (local.get $to)
        (i64.and (i64.shr_u (i64.load align=1 (local.get $from)) (local.get $bits)) (local.get $mask)))
      (local.set $from (i32.add (local.get $from) (local.get $stride)))
      (local.set $to (i32.add (local.get $to) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $to) (local.get $end)))))

  ;; ORs doubles into units. Gives 0 if all are integers from 0 on that fit, and are below 2^52: added to 2^52, such a
  ;; one is the low bits of the sum, and what is lost if that is taken away again is a fraction. A negative or a large one
  ;; changes the sum's other bits.
  (func (export "writeDoubles")
    (param $count i32) (param $to i32) (param $stride i32) (param $shift i32) (param $width i32) (result i32)
    (local $from i32) (local $end i32) (local $a v128) (local $b v128) (local $lost v128) (local $all v128)
    (local.set $from (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 3))))
    (loop $next
      (local.set $a
        (f64x2.add (v128.load (local.get $from)) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $b
        (f64x2.add (v128.load offset=16 (local.get $from)) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $lost
        (v128.or
          (local.get $lost)
          (v128.or
            (f64x2.ne
              (f64x2.sub (local.get $a) (v128.const f64x2 0x1p52 0x1p52))
              (v128.load (local.get $from)))
            (f64x2.ne
              (f64x2.sub (local.get $b) (v128.const f64x2 0x1p52 0x1p52))
              (v128.load offset=16 (local.get $from))))))
      (local.set $a (v128.xor (local.get $a) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $b (v128.xor (local.get $b) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $all (v128.or (local.get $all) (v128.or (local.get $a) (local.get $b))))
      (local.set $a (i64x2.shl (local.get $a) (local.get $shift)))
      (local.set $b (i64x2.shl (local.get $b) (local.get $shift)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64x2.extract_lane 0 (local.get $a))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64x2.extract_lane 1 (local.get $a))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64x2.extract_lane 0 (local.get $b))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64x2.extract_lane 1 (local.get $b))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $from (i32.add (local.get $from) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end))))
    (i32.or
      (v128.any_true (local.get $lost))
      (i64.ne
        (i64.const 0)
        (i64.and
          (i64.or
            (i64.xor (call $mask (local.get $width)) (i64.const -1))
            (i64.const 0xfff0000000000000))
          (i64.or
            (i64x2.extract_lane 0 (local.get $all))
            (i64x2.extract_lane 1 (local.get $all)))))))

  ;; The same, but what is left of the units becomes zeros.
  (func (export "putDoubles")
    (param $count i32) (param $to i32) (param $stride i32) (param $shift i32) (param $width i32) (result i32)
    (local $from i32) (local $end i32) (local $a v128) (local $b v128) (local $lost v128) (local $all v128)
    (local.set $from (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 3))))
    (loop $next
      (local.set $a
        (f64x2.add (v128.load (local.get $from)) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $b
        (f64x2.add (v128.load offset=16 (local.get $from)) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $lost
        (v128.or
          (local.get $lost)
          (v128.or
            (f64x2.ne
              (f64x2.sub (local.get $a) (v128.const f64x2 0x1p52 0x1p52))
              (v128.load (local.get $from)))
            (f64x2.ne
              (f64x2.sub (local.get $b) (v128.const f64x2 0x1p52 0x1p52))
              (v128.load offset=16 (local.get $from))))))
      (local.set $a (v128.xor (local.get $a) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $b (v128.xor (local.get $b) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $all (v128.or (local.get $all) (v128.or (local.get $a) (local.get $b))))
      (local.set $a (i64x2.shl (local.get $a) (local.get $shift)))
      (local.set $b (i64x2.shl (local.get $b) (local.get $shift)))
      (i64.store align=1 (local.get $to) (i64x2.extract_lane 0 (local.get $a)))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (i64.store align=1 (local.get $to) (i64x2.extract_lane 1 (local.get $a)))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (i64.store align=1 (local.get $to) (i64x2.extract_lane 0 (local.get $b)))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (i64.store align=1 (local.get $to) (i64x2.extract_lane 1 (local.get $b)))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $from (i32.add (local.get $from) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end))))
    (i32.or
      (v128.any_true (local.get $lost))
      (i64.ne
        (i64.const 0)
        (i64.and
          (i64.or
            (i64.xor (call $mask (local.get $width)) (i64.const -1))
            (i64.const 0xfff0000000000000))
          (i64.or
            (i64x2.extract_lane 0 (local.get $all))
            (i64x2.extract_lane 1 (local.get $all)))))))

  ;; The same of doubles that begin a unit, and what shares it, of up to 16 bits.
  (func (export "putPairs")
    (param $count i32) (param $to i32) (param $stride i32) (param $shift i32) (param $width i32) (param $own i32)
    (result i32)
    (local $from i32) (local $mate i32) (local $end i32) (local $bits i64) (local $one i64) (local $mates i64)
    (local $a v128) (local $b v128) (local $lost v128) (local $all v128)
    (local.set $from (i32.const 0x10c00))
    (local.set $mate (i32.const 0x19400))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 3))))
    (loop $next
      (local.set $a
        (f64x2.add (v128.load (local.get $from)) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $b
        (f64x2.add (v128.load offset=16 (local.get $from)) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $lost
        (v128.or
          (local.get $lost)
          (v128.or
            (f64x2.ne
              (f64x2.sub (local.get $a) (v128.const f64x2 0x1p52 0x1p52))
              (v128.load (local.get $from)))
            (f64x2.ne
              (f64x2.sub (local.get $b) (v128.const f64x2 0x1p52 0x1p52))
              (v128.load offset=16 (local.get $from))))))
      (local.set $a (v128.xor (local.get $a) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $b (v128.xor (local.get $b) (v128.const f64x2 0x1p52 0x1p52)))
      (local.set $all (v128.or (local.get $all) (v128.or (local.get $a) (local.get $b))))
      (local.set $one (i64.load16_u (local.get $mate)))
      (local.set $mates (i64.or (local.get $mates) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.shl (local.get $one) (local.get $bits)) (i64x2.extract_lane 0 (local.get $a))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $one (i64.load16_u offset=2 (local.get $mate)))
      (local.set $mates (i64.or (local.get $mates) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.shl (local.get $one) (local.get $bits)) (i64x2.extract_lane 1 (local.get $a))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $one (i64.load16_u offset=4 (local.get $mate)))
      (local.set $mates (i64.or (local.get $mates) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.shl (local.get $one) (local.get $bits)) (i64x2.extract_lane 0 (local.get $b))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $one (i64.load16_u offset=6 (local.get $mate)))
      (local.set $mates (i64.or (local.get $mates) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.shl (local.get $one) (local.get $bits)) (i64x2.extract_lane 1 (local.get $b))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $from (i32.add (local.get $from) (i32.const 32)))
      (local.set $mate (i32.add (local.get $mate) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end))))
    (i32.or
      (v128.any_true (local.get $lost))
      (i64.ne
        (i64.const 0)
        (i64.or
          (i64.and
            (i64.xor (call $mask (local.get $width)) (i64.const -1))
            (local.get $mates))
          (i64.and
            (i64.or
              (i64.xor (call $mask (local.get $own)) (i64.const -1))
              (i64.const 0xfff0000000000000))
            (i64.or
              (i64x2.extract_lane 0 (local.get $all))
              (i64x2.extract_lane 1 (local.get $all))))))))

  ;; ORs integers of up to 8, 16 and 32 bits into units. Gives 0 if all fit.
  (func (export "write8")
    (param $count i32) (param $to i32) (param $stride i32) (param $shift i32) (param $width i32) (result i32)
    (local $from i32) (local $end i32) (local $bits i64) (local $one i64) (local $all i64)
    (local.set $from (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $from) (local.get $count)))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (loop $next
      (local.set $one (i64.load8_u (local.get $from)))
      (local.set $all (i64.or (local.get $all) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64.shl (local.get $one) (local.get $bits))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end))))
    (i64.ne
      (i64.const 0)
      (i64.and (i64.xor (call $mask (local.get $width)) (i64.const -1)) (local.get $all))))

  (func (export "write16")
    (param $count i32) (param $to i32) (param $stride i32) (param $shift i32) (param $width i32) (result i32)
    (local $from i32) (local $end i32) (local $bits i64) (local $one i64) (local $all i64)
    (local.set $from (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 1))))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (loop $next
      (local.set $one (i64.load16_u (local.get $from)))
      (local.set $all (i64.or (local.get $all) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64.shl (local.get $one) (local.get $bits))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $one (i64.load16_u offset=2 (local.get $from)))
      (local.set $all (i64.or (local.get $all) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64.shl (local.get $one) (local.get $bits))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $one (i64.load16_u offset=4 (local.get $from)))
      (local.set $all (i64.or (local.get $all) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64.shl (local.get $one) (local.get $bits))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $one (i64.load16_u offset=6 (local.get $from)))
      (local.set $all (i64.or (local.get $all) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64.shl (local.get $one) (local.get $bits))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end))))
    (i64.ne
      (i64.const 0)
      (i64.and (i64.xor (call $mask (local.get $width)) (i64.const -1)) (local.get $all))))

  (func (export "write32")
    (param $count i32) (param $to i32) (param $stride i32) (param $shift i32) (param $width i32) (result i32)
    (local $from i32) (local $end i32) (local $bits i64) (local $one i64) (local $all i64)
    (local.set $from (i32.const 0x10c00))
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $bits (i64.extend_i32_u (local.get $shift)))
    (loop $next
      (local.set $one (i64.load32_u (local.get $from)))
      (local.set $all (i64.or (local.get $all) (local.get $one)))
      (i64.store align=1 (local.get $to)
        (i64.or (i64.load align=1 (local.get $to)) (i64.shl (local.get $one) (local.get $bits))))
      (local.set $to (i32.add (local.get $to) (local.get $stride)))
      (local.set $from (i32.add (local.get $from) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end))))
    (i64.ne
      (i64.const 0)
      (i64.and (i64.xor (call $mask (local.get $width)) (i64.const -1)) (local.get $all)))))
