;; Splits a table of 64-bit little-endian words into stretches; the twin of `plainStretches` in stretches.ts.
;; Two pages of memory: the table lies at 0 and has at most 64 KiB, pairs of u32 go to 64 KiB: first index, and length.
(module
  (memory (export "memory") 2)
  (func (export "stretches")
    (param $count i32) (param $present i32) (param $mask_lo i32) (param $mask_hi i32) (param $by i32)
    (result i32)
    (local $p i32) (local $end i32) (local $start i32) (local $out i32)
    (local $word i64) (local $mask i64) (local $step i64)
    (local $wanted v128) (local $masks v128) (local $two v128)
    (local.set $mask
      (i64.or
        (i64.extend_i32_u (local.get $mask_lo))
        (i64.shl (i64.extend_i32_u (local.get $mask_hi)) (i64.const 32))))
    (local.set $step (i64.extend_i32_u (local.get $by)))
    (local.set $end (i32.shl (local.get $count) (i32.const 3)))
    (local.set $out (i32.const 0x10000))
    (local.set $masks (i64x2.splat (local.get $mask)))
    (local.set $two (i64x2.splat (i64.shl (local.get $step) (i64.const 1))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $word (i64.load (local.get $p)))
        (local.set $start (local.get $p))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (br_if $next (i32.eqz (i32.and (i32.wrap_i64 (local.get $word)) (local.get $present))))
        ;; What the two words behind it have to be, as far as the mask looks.
        (local.set $wanted
          (i64x2.add
            (i64x2.splat (local.get $word))
            (i64x2.replace_lane 1
              (i64x2.splat (local.get $step))
              (i64.shl (local.get $step) (i64.const 1)))))
        (block $odd
          (loop $four
            (br_if $odd (i32.gt_u (i32.add (local.get $p) (i32.const 32)) (local.get $end)))
            (br_if $odd
              (v128.any_true
                (v128.and
                  (local.get $masks)
                  (v128.or
                    (v128.xor (v128.load align=8 (local.get $p)) (local.get $wanted))
                    (v128.xor
                      (v128.load offset=16 align=8 (local.get $p))
                      (i64x2.add (local.get $wanted) (local.get $two)))))))
            (local.set $wanted
              (i64x2.add (i64x2.add (local.get $wanted) (local.get $two)) (local.get $two)))
            (local.set $p (i32.add (local.get $p) (i32.const 32)))
            (br $four)))
        (local.set $word (i64x2.extract_lane 0 (local.get $wanted)))
        (block $stop
          (loop $one
            (br_if $stop (i32.ge_u (local.get $p) (local.get $end)))
            (br_if $stop
              (i64.ne
                (i64.const 0)
                (i64.and (local.get $mask) (i64.xor (i64.load (local.get $p)) (local.get $word)))))
            (local.set $word (i64.add (local.get $word) (local.get $step)))
            (local.set $p (i32.add (local.get $p) (i32.const 8)))
            (br $one)))
        (i32.store (local.get $out) (i32.shr_u (local.get $start) (i32.const 3)))
        (i32.store offset=4 (local.get $out)
          (i32.shr_u (i32.sub (local.get $p) (local.get $start)) (i32.const 3)))
        (local.set $out (i32.add (local.get $out) (i32.const 8)))
        (br $next)))
    (i32.shr_u (i32.sub (local.get $out) (i32.const 0x10000)) (i32.const 3))))
