(module
  (type (;0;) (func (param i32 i32)))
  (type (;1;) (func (param i32) (result i32)))
  (type (;2;) (func (param i32 i32 i32) (result i32)))
  (type (;3;) (func (param i32 i32) (result i64)))
  (type (;4;) (func (param i32 i64) (result i64)))
  (type (;5;) (func (param i32 i32) (result i32)))
  (type (;6;) (func (param i32 i64 i32)))
  (type (;7;) (func (param i32 i32 i64) (result i32)))
  (import "windrow" "fail" (func (;0;) (type 0)))
  (func (;1;) (type 1) (param i32) (result i32)
    i32.const 0
    i32.const 0
    i32.load offset=65860
    i32.store offset=65864
    local.get 0
    call 2)
  (func (;2;) (type 1) (param i32) (result i32)
    (local i32 i32)
    local.get 0
    i32.const 7
    i32.add
    i32.const -8
    i32.and
    local.set 1
    block  ;; label = @1
      block  ;; label = @2
        i32.const 0
        i32.load offset=65868
        local.tee 2
        i32.eqz
        br_if 0 (;@2;)
        i32.const 0
        i32.load offset=65864
        local.set 0
        br 1 (;@1;)
      end
      i32.const 0
      i32.const 65888
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.tee 0
      i32.store offset=65860
      i32.const 0
      local.get 0
      i32.store offset=65864
      i32.const 0
      memory.size
      i32.const 16
      i32.shl
      local.tee 2
      i32.store offset=65868
    end
    block  ;; label = @1
      local.get 2
      local.get 0
      i32.sub
      local.get 1
      i32.ge_u
      br_if 0 (;@1;)
      i32.const 65864
      local.get 2
      i32.const 0
      i32.load offset=65860
      i32.sub
      local.get 1
      call 3
      local.set 2
      i32.const 0
      i32.load offset=65864
      local.set 0
      local.get 2
      br_if 0 (;@1;)
      i32.const 0
      local.get 0
      i32.store offset=65860
    end
    i32.const 0
    local.get 0
    local.get 1
    i32.add
    i32.store offset=65864
    local.get 0)
  (func (;3;) (type 2) (param i32 i32 i32) (result i32)
    (local i32)
    memory.size
    local.set 3
    block  ;; label = @1
      local.get 2
      local.get 1
      local.get 2
      local.get 1
      i32.gt_u
      select
      i32.const 65535
      i32.add
      i32.const 16
      i32.shr_u
      memory.grow
      i32.const -1
      i32.eq
      br_if 0 (;@1;)
      block  ;; label = @2
        local.get 0
        i32.load offset=4
        local.get 3
        i32.const 16
        i32.shl
        local.tee 1
        i32.eq
        local.tee 2
        br_if 0 (;@2;)
        local.get 0
        local.get 1
        i32.store
      end
      local.get 0
      memory.size
      i32.const 16
      i32.shl
      i32.store offset=4
      local.get 2
      return
    end
    i32.const 65561
    i32.const 17
    call 0
    unreachable)
  (func (;4;) (type 3) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i32 i32 i64 i64 i32 i64 i32 i32)
    global.get 0
    i32.const 1328
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    i32.const 32
    i32.add
    call 5
    local.get 2
    i32.const 32
    i32.add
    i32.const 0
    i32.const 4
    call 6
    local.set 3
    local.get 2
    i32.const 32
    i32.add
    i32.const 1
    i32.const 4
    call 6
    local.tee 4
    i32.load offset=8
    local.set 5
    local.get 3
    i32.load offset=8
    local.set 6
    local.get 2
    i32.load offset=32
    i32.const 3
    i32.shl
    call 2
    local.set 7
    block  ;; label = @1
      local.get 2
      i64.load offset=32
      local.tee 8
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      local.get 8
      i64.const 1
      i64.and
      local.set 9
      i32.const 0
      local.set 10
      block  ;; label = @2
        local.get 8
        i64.const 1
        i64.eq
        br_if 0 (;@2;)
        local.get 8
        i64.const -2
        i64.and
        local.set 11
        i32.const 0
        local.set 10
        local.get 7
        local.set 0
        local.get 5
        local.set 12
        local.get 6
        local.set 13
        loop  ;; label = @3
          local.get 0
          local.get 13
          f64.load
          local.get 12
          f64.load
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.store
          local.get 0
          i32.const 8
          i32.add
          local.get 13
          i32.const 8
          i32.add
          f64.load
          local.get 12
          i32.const 8
          i32.add
          f64.load
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.store
          local.get 10
          i32.const 2
          i32.add
          local.set 10
          local.get 0
          i32.const 16
          i32.add
          local.set 0
          local.get 12
          i32.const 16
          i32.add
          local.set 12
          local.get 13
          i32.const 16
          i32.add
          local.set 13
          local.get 11
          i64.const -2
          i64.add
          local.tee 11
          i64.eqz
          i32.eqz
          br_if 0 (;@3;)
        end
      end
      local.get 9
      i64.eqz
      br_if 0 (;@1;)
      local.get 7
      local.get 10
      i32.const 3
      i32.shl
      local.tee 0
      i32.add
      local.get 6
      local.get 0
      i32.add
      f64.load
      local.get 5
      local.get 0
      i32.add
      f64.load
      f64.const 0x1p+0 (;=1;)
      f64.add
      f64.mul
      f64.store
    end
    local.get 2
    i32.const 0
    i32.store offset=20
    local.get 2
    local.get 7
    i32.store offset=16
    local.get 2
    i32.const 4
    i32.store offset=12
    local.get 2
    i32.const 65698
    i32.store offset=8
    local.get 4
    i32.load offset=16
    local.set 0
    block  ;; label = @1
      block  ;; label = @2
        local.get 3
        i32.load offset=16
        local.tee 13
        br_if 0 (;@2;)
        local.get 0
        local.set 13
        br 1 (;@1;)
      end
      local.get 0
      i32.eqz
      br_if 0 (;@1;)
      local.get 8
      i32.wrap_i64
      i32.const 3
      i32.shr_u
      i32.const 1
      i32.add
      call 2
      local.set 13
      local.get 8
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      i32.const 0
      local.set 0
      block  ;; label = @2
        local.get 8
        i64.const 7
        i64.add
        local.tee 8
        i64.const 3
        i64.shr_u
        local.tee 11
        i64.const 1
        i64.eq
        br_if 0 (;@2;)
        local.get 11
        i64.const 2305843009213693950
        i64.and
        local.set 11
        i32.const 0
        local.set 0
        loop  ;; label = @3
          local.get 13
          local.get 0
          i32.add
          local.tee 12
          local.get 4
          i32.load offset=16
          local.get 0
          i32.add
          i32.load8_u
          local.get 3
          i32.load offset=16
          local.get 0
          i32.add
          i32.load8_u
          i32.and
          i32.store8
          local.get 12
          i32.const 1
          i32.add
          local.get 4
          i32.load offset=16
          local.get 0
          i32.add
          i32.const 1
          i32.add
          i32.load8_u
          local.get 3
          i32.load offset=16
          local.get 0
          i32.add
          i32.const 1
          i32.add
          i32.load8_u
          i32.and
          i32.store8
          local.get 0
          i32.const 2
          i32.add
          local.set 0
          local.get 11
          i64.const -2
          i64.add
          local.tee 11
          i64.const 0
          i64.ne
          br_if 0 (;@3;)
        end
      end
      local.get 8
      i64.const 8
      i64.and
      i64.eqz
      br_if 0 (;@1;)
      local.get 13
      local.get 0
      i32.add
      local.get 4
      i32.load offset=16
      local.get 0
      i32.add
      i32.load8_u
      local.get 3
      i32.load offset=16
      local.get 0
      i32.add
      i32.load8_u
      i32.and
      i32.store8
    end
    local.get 2
    local.get 13
    i32.store offset=24
    local.get 2
    i32.const 8
    i32.add
    local.get 2
    i64.load offset=32
    call 7
    local.set 11
    local.get 2
    i32.const 1328
    i32.add
    global.set 0
    local.get 11)
  (func (;5;) (type 0) (param i32 i32)
    (local i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32)
    local.get 0
    i32.const 8
    i32.add
    local.tee 2
    local.get 0
    i32.load offset=4
    i32.add
    local.tee 3
    i32.const 4
    i32.add
    i32.load
    local.set 4
    local.get 2
    local.get 0
    i32.load offset=8
    i32.add
    i32.const 2
    call 8
    local.set 2
    local.get 3
    i32.const 8
    i32.add
    local.tee 5
    local.get 3
    i32.load offset=8
    i32.add
    i32.const 2
    call 8
    local.set 0
    local.get 2
    i32.const 1
    call 8
    local.set 3
    local.get 0
    i32.const 1
    call 8
    local.set 6
    local.get 0
    i32.const 2
    call 8
    local.set 2
    i64.const 0
    local.set 7
    block  ;; label = @1
      local.get 0
      local.get 0
      i32.load
      i32.sub
      local.tee 8
      i32.load16_u
      i32.const 5
      i32.lt_u
      br_if 0 (;@1;)
      local.get 8
      i32.load16_u offset=4
      local.tee 8
      i32.eqz
      br_if 0 (;@1;)
      local.get 0
      local.get 8
      i32.add
      i64.load
      local.set 7
    end
    local.get 1
    local.get 7
    i64.store
    local.get 1
    local.get 3
    i32.load
    local.tee 0
    i32.store offset=8
    block  ;; label = @1
      block  ;; label = @2
        local.get 0
        i32.const 64
        i32.gt_s
        br_if 0 (;@2;)
        block  ;; label = @3
          local.get 0
          i32.const 1
          i32.lt_s
          br_if 0 (;@3;)
          local.get 5
          local.get 4
          i32.add
          local.set 9
          local.get 2
          i32.const 4
          i32.add
          local.set 2
          local.get 3
          i32.const 12
          i32.add
          local.set 3
          local.get 1
          i32.const 16
          i32.add
          local.set 0
          local.get 6
          i32.const 12
          i32.add
          local.set 4
          i32.const 0
          local.set 10
          loop  ;; label = @4
            local.get 0
            i32.const -4
            i32.add
            local.get 3
            local.get 3
            i32.const -8
            i32.add
            i32.load
            local.tee 5
            i32.add
            local.tee 11
            i32.const -8
            i32.add
            local.tee 6
            i32.const 0
            call 8
            i32.const 4
            i32.add
            i32.store
            block  ;; label = @5
              block  ;; label = @6
                local.get 3
                local.get 5
                local.get 6
                i32.load
                i32.sub
                i32.add
                local.tee 8
                i32.const -8
                i32.add
                i32.load16_u
                i32.const 9
                i32.lt_u
                br_if 0 (;@6;)
                local.get 8
                i32.load16_u
                local.tee 12
                br_if 1 (;@5;)
              end
              local.get 11
              i32.const -8
              i32.add
              i32.const 3
              call 8
              drop
              local.get 0
              i32.const 0
              i32.store
              br 4 (;@1;)
            end
            i32.const 0
            local.set 8
            local.get 6
            i32.const 3
            call 8
            local.set 13
            local.get 0
            i32.const 0
            i32.store
            i32.const 32
            local.set 11
            i32.const 0
            local.set 6
            block  ;; label = @5
              block  ;; label = @6
                block  ;; label = @7
                  block  ;; label = @8
                    block  ;; label = @9
                      block  ;; label = @10
                        local.get 3
                        local.get 5
                        local.get 12
                        i32.add
                        i32.add
                        i32.const -8
                        i32.add
                        i32.load8_u
                        i32.const -2
                        i32.add
                        br_table 0 (;@10;) 1 (;@9;) 2 (;@8;) 3 (;@7;) 5 (;@5;) 5 (;@5;) 5 (;@5;) 5 (;@5;) 5 (;@5;) 5 (;@5;) 9 (;@1;) 9 (;@1;) 9 (;@1;) 5 (;@5;) 9 (;@1;) 9 (;@1;) 5 (;@5;) 4 (;@6;) 4 (;@6;) 9 (;@1;)
                      end
                      block  ;; label = @10
                        block  ;; label = @11
                          local.get 13
                          local.get 13
                          i32.load
                          i32.sub
                          local.tee 12
                          i32.load16_u
                          local.tee 5
                          i32.const 5
                          i32.lt_u
                          br_if 0 (;@11;)
                          local.get 12
                          i32.load16_u offset=4
                          local.tee 6
                          i32.eqz
                          br_if 0 (;@11;)
                          local.get 13
                          local.get 6
                          i32.add
                          local.set 6
                          br 1 (;@10;)
                        end
                        i32.const 0
                        local.set 6
                      end
                      block  ;; label = @10
                        block  ;; label = @11
                          local.get 5
                          i32.const 7
                          i32.lt_u
                          br_if 0 (;@11;)
                          local.get 12
                          i32.load16_u offset=6
                          local.tee 5
                          i32.eqz
                          br_if 0 (;@11;)
                          local.get 13
                          local.get 5
                          i32.add
                          local.set 12
                          br 1 (;@10;)
                        end
                        i32.const 0
                        local.set 12
                      end
                      i32.const 0
                      local.set 13
                      i32.const 0
                      local.set 5
                      block  ;; label = @10
                        local.get 6
                        i32.eqz
                        br_if 0 (;@10;)
                        local.get 6
                        i32.load
                        local.set 5
                      end
                      block  ;; label = @10
                        local.get 12
                        i32.eqz
                        br_if 0 (;@10;)
                        local.get 12
                        i32.load8_u
                        i32.const 0
                        i32.ne
                        local.set 13
                      end
                      block  ;; label = @10
                        local.get 5
                        i32.const 32
                        i32.ne
                        br_if 0 (;@10;)
                        local.get 0
                        i32.const 1
                        i32.const 2
                        local.get 13
                        select
                        i32.store
                        i32.const 0
                        local.set 6
                        br 5 (;@5;)
                      end
                      i32.const 0
                      local.set 6
                      local.get 5
                      i32.const 64
                      i32.eq
                      local.get 13
                      i32.and
                      i32.const 1
                      i32.ne
                      br_if 4 (;@5;)
                      local.get 0
                      i32.const 3
                      i32.store
                      br 4 (;@5;)
                    end
                    block  ;; label = @9
                      local.get 13
                      local.get 13
                      i32.load
                      i32.sub
                      local.tee 5
                      i32.load16_u
                      i32.const 5
                      i32.lt_u
                      br_if 0 (;@9;)
                      local.get 5
                      i32.load16_u offset=4
                      local.tee 5
                      i32.eqz
                      br_if 0 (;@9;)
                      local.get 13
                      local.get 5
                      i32.add
                      i32.load8_u
                      i32.const 2
                      i32.ne
                      br_if 0 (;@9;)
                      local.get 0
                      i32.const 4
                      i32.store
                    end
                    i32.const 0
                    local.set 6
                    br 3 (;@5;)
                  end
                  local.get 0
                  i32.const 6
                  i32.store
                  br 1 (;@6;)
                end
                local.get 0
                i32.const 5
                i32.store
              end
              i32.const 48
              local.set 11
              i32.const 1
              local.set 6
            end
            block  ;; label = @5
              local.get 4
              i64.load
              i64.eqz
              br_if 0 (;@5;)
              local.get 9
              local.get 2
              i32.load
              i32.add
              local.set 8
            end
            local.get 0
            i32.const 12
            i32.add
            local.get 8
            i32.store
            block  ;; label = @5
              block  ;; label = @6
                local.get 6
                br_if 0 (;@6;)
                local.get 0
                i32.const 8
                i32.add
                i32.const 0
                i32.store
                br 1 (;@5;)
              end
              local.get 0
              i32.const 8
              i32.add
              i32.const 65848
              local.get 9
              local.get 2
              i32.load offset=16
              i32.add
              local.get 1
              i64.load
              i64.eqz
              select
              i32.store
            end
            local.get 0
            i32.const 4
            i32.add
            local.get 9
            local.get 2
            local.get 11
            i32.add
            local.tee 2
            i32.const -16
            i32.add
            i32.load
            i32.add
            i32.store
            local.get 3
            i32.const 4
            i32.add
            local.set 3
            local.get 0
            i32.const 20
            i32.add
            local.set 0
            local.get 4
            i32.const 16
            i32.add
            local.set 4
            local.get 10
            i32.const 1
            i32.add
            local.tee 10
            local.get 1
            i32.load offset=8
            i32.lt_s
            br_if 0 (;@4;)
          end
        end
        return
      end
      i32.const 65658
      i32.const 30
      call 0
      unreachable
    end
    i32.const 65796
    i32.const 48
    call 0
    unreachable)
  (func (;6;) (type 2) (param i32 i32 i32) (result i32)
    block  ;; label = @1
      block  ;; label = @2
        local.get 0
        i32.load offset=8
        local.get 1
        i32.le_s
        br_if 0 (;@2;)
        local.get 0
        local.get 1
        i32.const 20
        i32.mul
        i32.add
        local.tee 1
        i32.const 16
        i32.add
        i32.load
        local.get 2
        i32.ne
        br_if 1 (;@1;)
        local.get 1
        i32.const 12
        i32.add
        return
      end
      i32.const 65736
      i32.const 19
      call 0
      unreachable
    end
    i32.const 65762
    i32.const 33
    call 0
    unreachable)
  (func (;7;) (type 4) (param i32 i64) (result i64)
    (local i32 i32 i32 i32 i32)
    global.get 0
    i32.const 32
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 1
    local.get 2
    call 9
    local.get 0
    i32.load
    local.set 3
    i32.const 767
    local.set 4
    loop  ;; label = @1
      local.get 3
      local.get 4
      i32.add
      local.set 5
      local.get 4
      i32.const 1
      i32.add
      local.tee 6
      local.set 4
      local.get 5
      i32.const -767
      i32.add
      i32.load8_u
      br_if 0 (;@1;)
    end
    local.get 2
    i64.load offset=8
    local.get 2
    i64.load
    i64.add
    local.get 2
    i64.load offset=16
    i64.add
    i32.wrap_i64
    local.get 6
    i32.add
    call 2
    local.tee 4
    local.get 0
    call 10
    local.get 0
    local.get 1
    call 11
    local.tee 5
    i64.const 4294967295
    i64.store
    local.get 2
    i32.const 32
    i32.add
    global.set 0
    local.get 4
    i64.extend_i32_u
    i64.const 32
    i64.shl
    local.get 5
    local.get 4
    i32.sub
    i32.const 8
    i32.add
    i64.extend_i32_u
    i64.or)
  (func (;8;) (type 5) (param i32 i32) (result i32)
    (local i32)
    block  ;; label = @1
      block  ;; label = @2
        local.get 1
        i32.const 1
        i32.shl
        i32.const 4
        i32.add
        i32.const 65534
        i32.and
        local.tee 1
        local.get 0
        local.get 0
        i32.load
        i32.sub
        local.tee 2
        i32.load16_u
        i32.ge_u
        br_if 0 (;@2;)
        local.get 2
        local.get 1
        i32.add
        i32.load16_u
        local.tee 1
        br_if 1 (;@1;)
      end
      i32.const 65538
      i32.const 22
      call 0
      unreachable
    end
    local.get 0
    local.get 1
    i32.add
    local.tee 0
    local.get 0
    i32.load
    i32.add)
  (func (;9;) (type 6) (param i32 i64 i32)
    (local i32 i64)
    local.get 0
    i32.load offset=4
    local.set 3
    i64.const 0
    local.set 4
    block  ;; label = @1
      local.get 0
      i32.load offset=16
      i32.eqz
      br_if 0 (;@1;)
      local.get 1
      i64.const 7
      i64.add
      i64.const 8
      i64.div_s
      local.set 4
    end
    local.get 2
    local.get 4
    i64.store
    local.get 2
    local.get 1
    i64.const 2
    i64.shl
    i64.const 4
    i64.add
    i64.const 0
    local.get 0
    i32.load offset=12
    local.tee 0
    select
    i64.store offset=8
    block  ;; label = @1
      local.get 0
      i32.eqz
      br_if 0 (;@1;)
      local.get 2
      local.get 0
      local.get 1
      i32.wrap_i64
      i32.const 2
      i32.shl
      i32.add
      i64.load32_s
      i64.store offset=16
      return
    end
    local.get 2
    i64.const 8
    i64.const 4
    local.get 3
    i32.const -3
    i32.add
    i32.const 2
    i32.lt_u
    select
    local.get 1
    i64.mul
    i64.store offset=16)
  (func (;10;) (type 5) (param i32 i32) (result i32)
    (local i32 i32 i32 i32 i32)
    local.get 0
    i64.const 85899345921
    i64.store offset=64 align=4
    local.get 0
    i64.const 17179869192
    i64.store offset=56 align=4
    local.get 0
    i64.const 1125899907366920
    i64.store offset=48 align=4
    local.get 0
    i64.const 65540
    i64.store offset=40
    local.get 0
    i64.const 0
    i64.store offset=32
    local.get 0
    i64.const 120259084300
    i64.store offset=24
    local.get 0
    i32.const 524292
    i32.store offset=20
    local.get 0
    i64.const 5066618301841420
    i64.store offset=12 align=4
    local.get 0
    i32.const 16
    i32.store offset=8
    local.get 0
    i64.const 4294967295
    i64.store
    local.get 1
    i32.load offset=4
    local.set 2
    local.get 0
    i32.const 0
    i32.store16 offset=102
    local.get 0
    i64.const 0
    i64.store offset=116 align=4
    local.get 0
    i32.const 124
    i32.add
    i64.const 0
    i64.store align=4
    local.get 0
    i64.const 262148
    i64.store offset=104 align=4
    local.get 0
    i64.const 524301
    i64.store offset=80 align=4
    local.get 0
    i64.const 3377716901445644
    i64.store offset=72 align=4
    local.get 0
    i64.const 154618822672
    i64.store offset=88 align=4
    local.get 0
    i32.const 8
    i32.store offset=112
    local.get 0
    i32.const 1
    i32.store8 offset=100
    local.get 0
    i32.const 16
    i32.store offset=96
    local.get 0
    local.get 2
    i32.const 65852
    i32.add
    i32.load8_u
    i32.store8 offset=101
    block  ;; label = @1
      local.get 1
      i32.load offset=4
      local.tee 2
      i32.const -1
      i32.add
      i32.const 2
      i32.gt_u
      br_if 0 (;@1;)
      local.get 0
      i64.const 0
      i64.store offset=124 align=4
      local.get 0
      i32.const 8
      i32.store offset=112
      local.get 0
      i64.const 2251816994340872
      i64.store offset=104 align=4
      local.get 0
      i64.const 2203318222864
      i64.store offset=96 align=4
      local.get 0
      i64.const 154618822672
      i64.store offset=88 align=4
      local.get 0
      i64.const 524301
      i64.store offset=80 align=4
      local.get 0
      i64.const 3377716901445644
      i64.store offset=72 align=4
      local.get 0
      local.get 2
      i32.const 2
      i32.ne
      i32.store offset=120
      local.get 0
      i32.const 64
      i32.const 32
      local.get 2
      i32.const 3
      i32.eq
      select
      i32.store offset=116
      local.get 1
      i32.load offset=4
      local.set 2
    end
    block  ;; label = @1
      local.get 2
      i32.const 4
      i32.ne
      br_if 0 (;@1;)
      local.get 0
      i32.const 0
      i32.store offset=128
      local.get 0
      i64.const 0
      i64.store offset=120 align=4
      local.get 0
      i64.const 8589934600
      i64.store offset=112 align=4
      local.get 0
      i64.const 17180393478
      i64.store offset=104 align=4
      local.get 0
      i64.const 3302829850640
      i64.store offset=96 align=4
      local.get 0
      i64.const 154618822672
      i64.store offset=88 align=4
      local.get 0
      i64.const 524301
      i64.store offset=80 align=4
      local.get 0
      i64.const 3377716901445644
      i64.store offset=72 align=4
    end
    local.get 0
    i32.const 72
    i32.add
    local.set 3
    local.get 0
    i32.const 8
    i32.add
    local.set 4
    local.get 1
    i32.load
    local.set 5
    i32.const 0
    local.set 1
    loop  ;; label = @1
      local.get 5
      local.get 1
      i32.add
      local.set 2
      local.get 1
      i32.const 1
      i32.add
      local.tee 6
      local.set 1
      local.get 2
      i32.load8_u
      br_if 0 (;@1;)
    end
    local.get 0
    local.get 6
    i32.const -1
    i32.add
    i32.store offset=128
    local.get 0
    i32.const 132
    i32.add
    local.get 5
    local.get 6
    memory.copy
    local.get 0
    local.get 3
    local.get 6
    i32.const 67
    i32.add
    i32.const -8
    i32.and
    i32.add
    local.tee 1
    local.get 4
    i32.sub
    i32.store offset=4
    local.get 1)
  (func (;11;) (type 7) (param i32 i32 i64) (result i32)
    (local i32 i32 i64 i32 i64 i32 i32)
    global.get 0
    i32.const 32
    i32.sub
    local.tee 3
    global.set 0
    local.get 0
    i64.const 4294967296
    i64.store offset=88
    local.get 0
    i64.const 36
    i64.store offset=80
    local.get 0
    local.get 2
    i64.store offset=72
    local.get 0
    i64.const 103079215120
    i64.store offset=64
    local.get 0
    i64.const 16
    i64.store offset=56
    local.get 0
    i64.const 1125934267891722
    i64.store offset=48
    local.get 0
    local.get 2
    i64.store offset=96
    i32.const 0
    local.set 4
    local.get 1
    local.get 2
    call 20
    local.set 5
    local.get 0
    i32.const 0
    i32.store offset=116
    local.get 0
    local.get 5
    i64.store offset=104
    local.get 1
    local.get 2
    local.get 3
    call 9
    local.get 0
    i64.const 0
    i64.store offset=120
    local.get 0
    local.get 3
    i64.load
    local.tee 5
    i64.store offset=128
    local.get 0
    local.get 0
    i32.load offset=116
    i32.const 1
    i32.add
    i32.store offset=116
    local.get 5
    i64.const 7
    i64.add
    i64.const 4294967288
    i64.and
    local.set 5
    block  ;; label = @1
      block  ;; label = @2
        local.get 1
        i32.load offset=12
        br_if 0 (;@2;)
        local.get 0
        i32.const 136
        i32.add
        local.set 6
        br 1 (;@1;)
      end
      local.get 0
      local.get 5
      i64.store offset=136
      local.get 0
      local.get 3
      i64.load offset=8
      local.tee 7
      i64.store offset=144
      local.get 0
      local.get 0
      i32.load offset=116
      i32.const 1
      i32.add
      i32.store offset=116
      local.get 0
      i32.const 152
      i32.add
      local.set 6
      local.get 7
      i64.const 7
      i64.add
      i64.const 4294967288
      i64.and
      local.get 5
      i64.add
      local.set 5
    end
    local.get 6
    local.get 3
    i64.load offset=16
    local.tee 7
    i64.store offset=8
    local.get 0
    i32.const 16
    i32.store offset=8
    local.get 0
    i64.const 196612
    i64.store offset=40
    local.get 0
    i32.const 524292
    i32.store offset=20
    local.get 0
    i64.const 5066618301841420
    i64.store offset=12 align=4
    local.get 0
    i64.const 154618822668
    i64.store offset=24
    local.get 0
    i32.const -1
    i32.store
    local.get 0
    local.get 7
    i64.const 7
    i64.add
    i64.const 4294967288
    i64.and
    local.get 5
    i64.add
    i64.store offset=32
    local.get 6
    local.get 5
    i64.store
    local.get 0
    local.get 0
    i32.load offset=116
    i32.const 1
    i32.add
    i32.store offset=116
    local.get 0
    local.get 6
    i32.const 16
    i32.add
    local.tee 6
    local.get 0
    i32.const 8
    i32.add
    i32.sub
    i32.store offset=4
    local.get 1
    i32.load offset=8
    local.set 8
    local.get 1
    i32.load offset=12
    local.set 9
    local.get 1
    i32.load offset=16
    local.set 0
    local.get 1
    local.get 2
    local.get 3
    call 9
    block  ;; label = @1
      local.get 3
      i64.load
      local.tee 2
      i64.eqz
      br_if 0 (;@1;)
      local.get 6
      local.get 0
      local.get 2
      i32.wrap_i64
      local.tee 1
      memory.copy
      local.get 1
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.set 4
    end
    local.get 6
    local.get 4
    i32.add
    local.set 0
    i32.const 0
    local.set 1
    i32.const 0
    local.set 6
    block  ;; label = @1
      local.get 3
      i64.load offset=8
      local.tee 2
      i64.eqz
      br_if 0 (;@1;)
      local.get 0
      local.get 9
      local.get 2
      i32.wrap_i64
      memory.copy
      local.get 3
      i32.load offset=8
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.set 6
    end
    local.get 0
    local.get 6
    i32.add
    local.set 0
    block  ;; label = @1
      local.get 3
      i64.load offset=16
      local.tee 2
      i64.eqz
      br_if 0 (;@1;)
      local.get 0
      local.get 8
      local.get 2
      i32.wrap_i64
      memory.copy
      local.get 3
      i32.load offset=16
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.set 1
    end
    local.get 3
    i32.const 32
    i32.add
    global.set 0
    local.get 0
    local.get 1
    i32.add)
  (func (;12;) (type 3) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i32 i64 i32 i64 i32 i32 i32 i32 i32 i32)
    global.get 0
    i32.const 1328
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    i32.const 32
    i32.add
    call 5
    local.get 2
    i32.const 32
    i32.add
    i32.const 0
    i32.const 5
    call 6
    local.tee 3
    i32.load offset=8
    local.set 4
    local.get 3
    i32.load offset=12
    local.get 2
    i32.load offset=32
    i32.const 2
    i32.shl
    i32.add
    i32.load
    i32.const 1
    i32.add
    call 2
    local.set 5
    local.get 2
    i32.load offset=32
    i32.const 2
    i32.shl
    i32.const 4
    i32.add
    call 2
    local.tee 6
    i32.const 0
    i32.store
    block  ;; label = @1
      local.get 2
      i64.load offset=32
      local.tee 7
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      local.get 3
      i32.load offset=12
      local.set 8
      i64.const 0
      local.set 9
      local.get 5
      local.set 10
      loop  ;; label = @2
        block  ;; label = @3
          local.get 8
          local.get 9
          i32.wrap_i64
          i32.const 2
          i32.shl
          i32.add
          i32.load
          local.tee 0
          local.get 8
          local.get 9
          i64.const 1
          i64.add
          local.tee 9
          i32.wrap_i64
          i32.const 2
          i32.shl
          local.tee 11
          i32.add
          i32.load
          i32.ge_s
          br_if 0 (;@3;)
          i32.const 0
          local.set 12
          loop  ;; label = @4
            block  ;; label = @5
              block  ;; label = @6
                block  ;; label = @7
                  local.get 4
                  local.get 0
                  i32.add
                  i32.load8_u
                  local.tee 8
                  i32.const 32
                  i32.or
                  local.tee 13
                  i32.const -97
                  i32.add
                  i32.const 255
                  i32.and
                  i32.const 26
                  i32.lt_u
                  local.tee 14
                  local.get 8
                  i32.const -48
                  i32.add
                  i32.const 255
                  i32.and
                  i32.const 10
                  i32.lt_u
                  i32.or
                  local.tee 15
                  i32.const 1
                  i32.ne
                  br_if 0 (;@7;)
                  local.get 13
                  local.get 8
                  local.get 14
                  select
                  local.set 8
                  br 1 (;@6;)
                end
                local.get 12
                br_if 1 (;@5;)
                i32.const 45
                local.set 8
              end
              local.get 10
              local.get 8
              i32.store8
              local.get 10
              i32.const 1
              i32.add
              local.set 10
            end
            local.get 15
            i32.const 1
            i32.xor
            local.set 12
            local.get 0
            i32.const 1
            i32.add
            local.tee 0
            local.get 3
            i32.load offset=12
            local.tee 8
            local.get 11
            i32.add
            i32.load
            i32.lt_s
            br_if 0 (;@4;)
          end
          local.get 2
          i64.load offset=32
          local.set 7
        end
        local.get 6
        local.get 11
        i32.add
        local.get 10
        local.get 5
        i32.sub
        i32.store
        local.get 9
        local.get 7
        i64.lt_s
        br_if 0 (;@2;)
      end
    end
    local.get 2
    local.get 6
    i32.store offset=20
    local.get 2
    local.get 5
    i32.store offset=16
    local.get 2
    i32.const 5
    i32.store offset=12
    local.get 2
    i32.const 65731
    i32.store offset=8
    local.get 2
    local.get 3
    i32.load offset=16
    i32.store offset=24
    local.get 2
    i32.const 8
    i32.add
    local.get 7
    call 7
    local.set 9
    local.get 2
    i32.const 1328
    i32.add
    global.set 0
    local.get 9)
  (func (;13;) (type 3) (param i32 i32) (result i64)
    (local i32 i32 i32 i64 i64 i64)
    global.get 0
    i32.const 1328
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    i32.const 32
    i32.add
    call 5
    local.get 2
    i32.const 32
    i32.add
    i32.const 0
    i32.const 3
    call 6
    local.tee 0
    i32.load offset=8
    local.set 3
    local.get 2
    i32.const 1
    i32.store offset=28
    local.get 0
    i32.load offset=16
    local.set 4
    block  ;; label = @1
      local.get 2
      i64.load offset=32
      local.tee 5
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      i64.const 0
      local.set 6
      loop  ;; label = @2
        block  ;; label = @3
          block  ;; label = @4
            block  ;; label = @5
              local.get 4
              br_if 0 (;@5;)
              local.get 6
              i32.wrap_i64
              local.set 0
              br 1 (;@4;)
            end
            local.get 4
            local.get 6
            i64.const 3
            i64.shr_u
            i32.wrap_i64
            i32.add
            i32.load8_u
            local.get 6
            i32.wrap_i64
            local.tee 0
            i32.const 7
            i32.and
            i32.shr_u
            i32.const 1
            i32.and
            i32.eqz
            br_if 1 (;@3;)
          end
          local.get 3
          local.get 0
          i32.const 3
          i32.shl
          i32.add
          i64.load
          i64.const -13
          i64.add
          local.tee 7
          i64.const 1
          i64.gt_u
          br_if 0 (;@3;)
          block  ;; label = @4
            block  ;; label = @5
              local.get 7
              i32.wrap_i64
              br_table 0 (;@5;) 1 (;@4;) 0 (;@5;)
            end
            unreachable
            unreachable
          end
          loop  ;; label = @4
            local.get 2
            i32.load offset=28
            br_if 0 (;@4;)
          end
        end
        local.get 6
        i64.const 1
        i64.add
        local.tee 6
        local.get 5
        i64.ne
        br_if 0 (;@2;)
      end
    end
    local.get 2
    local.get 4
    i32.store offset=24
    local.get 2
    i32.const 0
    i32.store offset=20
    local.get 2
    local.get 3
    i32.store offset=16
    local.get 2
    i32.const 3
    i32.store offset=12
    local.get 2
    i32.const 65536
    i32.store offset=8
    local.get 2
    i32.const 8
    i32.add
    local.get 5
    call 7
    local.set 6
    local.get 2
    i32.const 1328
    i32.add
    global.set 0
    local.get 6)
  (func (;14;) (type 3) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i32 i64 i64 i32 i64 i32 i32 i64 i64 i64 i64)
    global.get 0
    i32.const 1328
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    i32.const 32
    i32.add
    call 5
    i32.const 0
    local.set 0
    local.get 2
    i32.const 32
    i32.add
    i32.const 0
    i32.const 3
    call 6
    local.set 3
    local.get 2
    i32.const 32
    i32.add
    i32.const 1
    i32.const 3
    call 6
    local.tee 4
    i32.load offset=8
    local.set 5
    local.get 3
    i32.load offset=8
    local.set 6
    block  ;; label = @1
      block  ;; label = @2
        local.get 2
        i64.load offset=32
        local.tee 7
        i64.const 1
        i64.ge_s
        br_if 0 (;@2;)
        i64.const 0
        local.set 8
        br 1 (;@1;)
      end
      local.get 3
      i32.load offset=16
      local.set 9
      i64.const 0
      local.set 8
      i64.const 0
      local.set 10
      block  ;; label = @2
        loop  ;; label = @3
          block  ;; label = @4
            block  ;; label = @5
              local.get 9
              i32.eqz
              br_if 0 (;@5;)
              local.get 9
              local.get 10
              i64.const 3
              i64.shr_u
              i32.wrap_i64
              i32.add
              i32.load8_u
              local.get 0
              i32.const 7
              i32.and
              i32.shr_u
              i32.const 1
              i32.and
              i32.eqz
              br_if 1 (;@4;)
            end
            local.get 0
            local.set 11
            block  ;; label = @5
              local.get 4
              i32.load offset=16
              local.tee 12
              i32.eqz
              br_if 0 (;@5;)
              local.get 12
              local.get 10
              i64.const 3
              i64.shr_u
              i32.wrap_i64
              i32.add
              i32.load8_u
              local.get 0
              i32.const 7
              i32.and
              i32.shr_u
              i32.const 1
              i32.and
              i32.eqz
              br_if 1 (;@4;)
              local.get 10
              i32.wrap_i64
              local.set 11
            end
            local.get 5
            local.get 11
            i32.const 3
            i32.shl
            local.tee 11
            i32.add
            i64.load
            local.tee 13
            local.get 6
            local.get 11
            i32.add
            i64.load
            local.tee 14
            i64.lt_s
            br_if 0 (;@4;)
            local.get 13
            local.get 14
            i64.sub
            local.tee 13
            i64.const 8388608
            local.get 8
            i64.sub
            i64.ge_u
            br_if 2 (;@2;)
            local.get 8
            local.get 13
            i64.add
            i64.const 1
            i64.add
            local.set 8
          end
          local.get 0
          i32.const 1
          i32.add
          local.set 0
          local.get 7
          local.get 10
          i64.const 1
          i64.add
          local.tee 10
          i64.eq
          br_if 2 (;@1;)
          br 0 (;@3;)
        end
      end
      i32.const 65619
      i32.const 38
      call 0
      unreachable
    end
    local.get 8
    i32.wrap_i64
    i32.const 3
    i32.shl
    call 2
    local.set 12
    block  ;; label = @1
      local.get 2
      i64.load offset=32
      local.tee 7
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      local.get 3
      i32.load offset=16
      local.set 11
      i64.const 0
      local.set 13
      local.get 12
      local.set 0
      loop  ;; label = @2
        block  ;; label = @3
          block  ;; label = @4
            local.get 11
            i32.eqz
            br_if 0 (;@4;)
            local.get 11
            local.get 13
            i64.const 3
            i64.shr_u
            i32.wrap_i64
            i32.add
            i32.load8_u
            local.get 13
            i32.wrap_i64
            i32.const 7
            i32.and
            i32.shr_u
            i32.const 1
            i32.and
            i32.eqz
            br_if 1 (;@3;)
          end
          block  ;; label = @4
            block  ;; label = @5
              local.get 4
              i32.load offset=16
              local.tee 9
              br_if 0 (;@5;)
              local.get 13
              i32.wrap_i64
              local.set 9
              br 1 (;@4;)
            end
            local.get 9
            local.get 13
            i64.const 3
            i64.shr_u
            i32.wrap_i64
            i32.add
            i32.load8_u
            local.get 13
            i32.wrap_i64
            local.tee 9
            i32.const 7
            i32.and
            i32.shr_u
            i32.const 1
            i32.and
            i32.eqz
            br_if 1 (;@3;)
          end
          local.get 5
          local.get 9
          i32.const 3
          i32.shl
          local.tee 9
          i32.add
          i64.load
          local.tee 14
          local.get 6
          local.get 9
          i32.add
          local.tee 9
          i64.load
          local.tee 10
          i64.lt_s
          br_if 0 (;@3;)
          local.get 0
          local.get 10
          i64.store
          local.get 0
          i32.const 8
          i32.add
          local.set 0
          block  ;; label = @4
            local.get 14
            local.get 10
            i64.sub
            local.tee 15
            i64.eqz
            br_if 0 (;@4;)
            local.get 15
            i64.const 3
            i64.and
            local.set 7
            i64.const 0
            local.set 16
            block  ;; label = @5
              local.get 14
              local.get 10
              i64.const -1
              i64.xor
              i64.add
              i64.const 3
              i64.lt_u
              br_if 0 (;@5;)
              i64.const 0
              local.get 15
              i64.const -4
              i64.and
              i64.sub
              local.set 14
              i64.const 2
              local.set 10
              loop  ;; label = @6
                local.get 0
                local.get 10
                local.get 9
                i64.load
                i64.add
                i64.const -1
                i64.add
                i64.store
                local.get 0
                i32.const 8
                i32.add
                local.get 10
                local.get 9
                i64.load
                i64.add
                i64.store
                local.get 0
                i32.const 16
                i32.add
                local.get 10
                local.get 9
                i64.load
                i64.add
                i64.const 1
                i64.add
                i64.store
                local.get 0
                i32.const 24
                i32.add
                local.get 10
                local.get 9
                i64.load
                i64.add
                i64.const 2
                i64.add
                i64.store
                local.get 0
                i32.const 32
                i32.add
                local.set 0
                local.get 14
                local.get 10
                i64.const 4
                i64.add
                local.tee 10
                i64.add
                i64.const 2
                i64.ne
                br_if 0 (;@6;)
              end
              local.get 10
              i64.const -2
              i64.add
              local.set 16
            end
            local.get 7
            i64.eqz
            br_if 0 (;@4;)
            local.get 16
            i64.const 1
            i64.add
            local.set 10
            loop  ;; label = @5
              local.get 0
              local.get 10
              local.get 9
              i64.load
              i64.add
              i64.store
              local.get 10
              i64.const 1
              i64.add
              local.set 10
              local.get 0
              i32.const 8
              i32.add
              local.set 0
              local.get 7
              i64.const -1
              i64.add
              local.tee 7
              i64.const 0
              i64.ne
              br_if 0 (;@5;)
            end
          end
          local.get 2
          i64.load offset=32
          local.set 7
        end
        local.get 13
        i64.const 1
        i64.add
        local.tee 13
        local.get 7
        i64.lt_s
        br_if 0 (;@2;)
      end
    end
    local.get 2
    i64.const 0
    i64.store offset=20 align=4
    local.get 2
    local.get 12
    i32.store offset=16
    local.get 2
    i32.const 3
    i32.store offset=12
    local.get 2
    i32.const 65696
    i32.store offset=8
    local.get 2
    i32.const 8
    i32.add
    local.get 8
    call 7
    local.set 10
    local.get 2
    i32.const 1328
    i32.add
    global.set 0
    local.get 10)
  (func (;15;) (type 3) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 f64 i64 f64)
    global.get 0
    i32.const 1296
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    call 5
    local.get 2
    i32.const 0
    i32.const 2
    call 6
    i32.load offset=8
    local.set 3
    local.get 2
    i32.const 1
    i32.const 4
    call 6
    local.set 4
    block  ;; label = @1
      block  ;; label = @2
        local.get 2
        i64.load
        i64.const 1
        i64.lt_s
        br_if 0 (;@2;)
        local.get 4
        i32.load offset=8
        local.set 5
        i32.const 0
        i32.load offset=65872
        local.set 6
        i64.const 0
        local.set 7
        loop  ;; label = @3
          block  ;; label = @4
            block  ;; label = @5
              local.get 6
              local.get 3
              local.get 7
              i32.wrap_i64
              local.tee 8
              i32.const 2
              i32.shl
              i32.add
              i32.load
              local.tee 9
              i32.le_u
              br_if 0 (;@5;)
              i32.const 0
              i32.load offset=65876
              local.set 10
              br 1 (;@4;)
            end
            local.get 6
            i32.const 64
            local.get 6
            select
            local.set 10
            loop  ;; label = @5
              local.get 10
              local.tee 0
              i32.const 1
              i32.shl
              local.set 10
              local.get 0
              local.get 9
              i32.le_u
              br_if 0 (;@5;)
            end
            i32.const 0
            i32.load offset=65876
            local.set 11
            local.get 0
            i32.const 4
            i32.shl
            call 16
            local.set 10
            block  ;; label = @5
              local.get 6
              i32.const 4
              i32.shl
              local.tee 6
              i32.eqz
              br_if 0 (;@5;)
              local.get 10
              local.get 11
              local.get 6
              memory.copy
            end
            i32.const 0
            local.get 0
            i32.store offset=65872
            i32.const 0
            local.get 10
            i32.store offset=65876
            local.get 0
            local.set 6
          end
          block  ;; label = @4
            block  ;; label = @5
              local.get 4
              i32.load offset=16
              local.tee 0
              i32.eqz
              br_if 0 (;@5;)
              local.get 0
              local.get 7
              i64.const 3
              i64.shr_u
              i32.wrap_i64
              i32.add
              i32.load8_u
              local.get 8
              i32.const 7
              i32.and
              i32.shr_u
              i32.const 1
              i32.and
              i32.eqz
              br_if 1 (;@4;)
            end
            local.get 5
            local.get 8
            i32.const 3
            i32.shl
            i32.add
            f64.load
            local.tee 12
            f64.const 0x1p-1022 (;=2.22507e-308;)
            f64.ge
            i32.eqz
            br_if 3 (;@1;)
            local.get 12
            f64.const 0x1.fffffffffffffp+1023 (;=1.79769e+308;)
            f64.le
            i32.eqz
            br_if 3 (;@1;)
            local.get 10
            local.get 9
            i32.const 4
            i32.shl
            i32.add
            local.tee 0
            local.get 0
            i64.load
            i64.const 1
            i64.add
            i64.store
            local.get 0
            i32.const -1022
            i32.const -1023
            local.get 12
            i64.reinterpret_f64
            local.tee 13
            i64.const 4503599627370495
            i64.and
            i64.const 4607182418800017408
            i64.or
            f64.reinterpret_i64
            local.tee 12
            f64.const 0x1.6a09e667f3bcdp+0 (;=1.41421;)
            f64.gt
            local.tee 10
            select
            local.get 13
            i64.const 52
            i64.shr_u
            i32.wrap_i64
            i32.add
            f64.convert_i32_s
            local.tee 14
            f64.const 0x1.62e42fefa39efp-1 (;=0.693147;)
            f64.mul
            local.get 14
            f64.const 0x1.abc9e3b39803fp-56 (;=2.31905e-17;)
            f64.mul
            local.get 12
            f64.const 0x1p-1 (;=0.5;)
            f64.mul
            local.get 12
            local.get 10
            select
            local.tee 12
            f64.const -0x1p+0 (;=-1;)
            f64.add
            local.get 12
            f64.const 0x1p+0 (;=1;)
            f64.add
            f64.div
            local.tee 12
            local.get 12
            f64.add
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            local.get 12
            f64.const 0x0p+0 (;=0;)
            f64.mul
            f64.mul
            f64.const 0x1.8618618618618p-5 (;=0.047619;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.af286bca1af28p-5 (;=0.0526316;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.e1e1e1e1e1e1ep-5 (;=0.0588235;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.1111111111111p-4 (;=0.0666667;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.3b13b13b13b14p-4 (;=0.0769231;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.745d1745d1746p-4 (;=0.0909091;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.c71c71c71c71cp-4 (;=0.111111;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.2492492492492p-3 (;=0.142857;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.999999999999ap-3 (;=0.2;)
            f64.add
            f64.mul
            f64.mul
            f64.const 0x1.5555555555555p-2 (;=0.333333;)
            f64.add
            f64.mul
            local.get 12
            f64.mul
            f64.const 0x1p+0 (;=1;)
            f64.add
            f64.mul
            f64.add
            f64.add
            local.get 0
            f64.load offset=8
            f64.add
            f64.store offset=8
          end
          local.get 7
          i64.const 1
          i64.add
          local.tee 7
          local.get 2
          i64.load
          i64.lt_s
          br_if 0 (;@3;)
        end
      end
      local.get 2
      i32.const 1296
      i32.add
      global.set 0
      i64.const 0
      return
    end
    i32.const 65579
    i32.const 39
    call 0
    unreachable)
  (func (;16;) (type 1) (param i32) (result i32)
    (local i32)
    block  ;; label = @1
      i32.const 0
      i32.load offset=65884
      i32.const 0
      i32.load offset=65880
      local.tee 1
      i32.sub
      local.get 0
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.tee 0
      i32.ge_u
      br_if 0 (;@1;)
      i32.const 65880
      i32.const 0
      local.get 0
      call 3
      drop
      i32.const 0
      i32.load offset=65880
      local.set 1
    end
    i32.const 0
    local.get 1
    local.get 0
    i32.add
    i32.store offset=65880
    local.get 1)
  (func (;17;) (type 3) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 f64)
    global.get 0
    i32.const 1296
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    call 5
    local.get 2
    i32.const 0
    i32.const 2
    call 6
    i32.load offset=8
    local.set 3
    local.get 2
    i32.const 1
    i32.const 6
    call 6
    local.set 4
    block  ;; label = @1
      block  ;; label = @2
        local.get 2
        i64.load
        i64.const 1
        i64.lt_s
        br_if 0 (;@2;)
        i32.const 0
        i32.load offset=65872
        local.set 5
        i64.const 0
        local.set 6
        loop  ;; label = @3
          block  ;; label = @4
            block  ;; label = @5
              local.get 5
              local.get 3
              local.get 6
              i32.wrap_i64
              local.tee 7
              i32.const 2
              i32.shl
              local.tee 8
              i32.add
              i32.load
              local.tee 9
              i32.le_u
              br_if 0 (;@5;)
              i32.const 0
              i32.load offset=65876
              local.set 10
              br 1 (;@4;)
            end
            local.get 5
            i32.const 64
            local.get 5
            select
            local.set 10
            loop  ;; label = @5
              local.get 10
              local.tee 0
              i32.const 1
              i32.shl
              local.set 10
              local.get 0
              local.get 9
              i32.le_u
              br_if 0 (;@5;)
            end
            i32.const 0
            i32.load offset=65876
            local.set 11
            local.get 0
            i32.const 4
            i32.shl
            call 16
            local.set 10
            block  ;; label = @5
              local.get 5
              i32.const 4
              i32.shl
              local.tee 5
              i32.eqz
              br_if 0 (;@5;)
              local.get 10
              local.get 11
              local.get 5
              memory.copy
            end
            i32.const 0
            local.get 0
            i32.store offset=65872
            i32.const 0
            local.get 10
            i32.store offset=65876
            local.get 0
            local.set 5
          end
          block  ;; label = @4
            block  ;; label = @5
              local.get 4
              i32.load offset=16
              local.tee 0
              i32.eqz
              br_if 0 (;@5;)
              local.get 0
              local.get 6
              i64.const 3
              i64.shr_u
              i32.wrap_i64
              i32.add
              i32.load8_u
              local.get 7
              i32.const 7
              i32.and
              i32.shr_u
              i32.const 1
              i32.and
              i32.eqz
              br_if 1 (;@4;)
            end
            local.get 4
            i32.load offset=12
            local.get 8
            i32.add
            local.tee 0
            i32.const 4
            i32.add
            i32.load
            local.get 0
            i32.load
            local.tee 0
            i32.sub
            i32.const 16
            i32.ne
            br_if 3 (;@1;)
            local.get 4
            i32.load offset=8
            local.get 0
            i32.add
            local.tee 8
            f64.load offset=8 align=1
            local.set 12
            local.get 10
            local.get 9
            i32.const 4
            i32.shl
            i32.add
            local.tee 0
            local.get 0
            i64.load
            local.get 8
            i64.load align=1
            i64.add
            i64.store
            local.get 0
            local.get 12
            local.get 0
            f64.load offset=8
            f64.add
            f64.store offset=8
          end
          local.get 6
          i64.const 1
          i64.add
          local.tee 6
          local.get 2
          i64.load
          i64.lt_s
          br_if 0 (;@3;)
        end
      end
      local.get 2
      i32.const 1296
      i32.add
      global.set 0
      i64.const 0
      return
    end
    i32.const 65704
    i32.const 26
    call 0
    unreachable)
  (func (;18;) (type 3) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i64 i32 i64 i32 i32 i32 i32)
    global.get 0
    i32.const 1328
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    i32.const 32
    i32.add
    call 5
    local.get 2
    i32.const 32
    i32.add
    i32.const 0
    i32.const 2
    call 6
    i32.load offset=8
    local.set 3
    local.get 2
    i32.load offset=32
    i32.const 4
    i32.shl
    call 2
    local.set 4
    local.get 2
    i32.load offset=32
    i32.const 2
    i32.shl
    i32.const 4
    i32.add
    call 2
    local.tee 5
    i32.const 0
    i32.store
    block  ;; label = @1
      local.get 2
      i64.load offset=32
      local.tee 6
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      i32.const 0
      i32.load offset=65872
      local.set 7
      i64.const 0
      local.set 8
      loop  ;; label = @2
        local.get 4
        local.get 8
        i32.wrap_i64
        local.tee 0
        i32.const 4
        i32.shl
        i32.add
        local.set 9
        block  ;; label = @3
          block  ;; label = @4
            local.get 7
            local.get 3
            local.get 0
            i32.const 2
            i32.shl
            i32.add
            i32.load
            local.tee 10
            i32.le_u
            br_if 0 (;@4;)
            i32.const 0
            i32.load offset=65876
            local.set 11
            br 1 (;@3;)
          end
          local.get 7
          i32.const 64
          local.get 7
          select
          local.set 11
          loop  ;; label = @4
            local.get 11
            local.tee 0
            i32.const 1
            i32.shl
            local.set 11
            local.get 0
            local.get 10
            i32.le_u
            br_if 0 (;@4;)
          end
          i32.const 0
          i32.load offset=65876
          local.set 12
          local.get 0
          i32.const 4
          i32.shl
          call 16
          local.set 11
          block  ;; label = @4
            local.get 7
            i32.const 4
            i32.shl
            local.tee 7
            i32.eqz
            br_if 0 (;@4;)
            local.get 11
            local.get 12
            local.get 7
            memory.copy
          end
          i32.const 0
          local.get 0
          i32.store offset=65872
          i32.const 0
          local.get 11
          i32.store offset=65876
          local.get 0
          local.set 7
        end
        local.get 9
        local.get 11
        local.get 10
        i32.const 4
        i32.shl
        i32.add
        local.tee 0
        i64.load
        i64.store
        local.get 9
        i32.const 8
        i32.add
        local.get 0
        i32.const 8
        i32.add
        i64.load
        i64.store
        local.get 5
        local.get 8
        i64.const 1
        i64.add
        local.tee 8
        i32.wrap_i64
        local.tee 0
        i32.const 2
        i32.shl
        i32.add
        local.get 0
        i32.const 4
        i32.shl
        i32.store
        local.get 8
        local.get 2
        i64.load offset=32
        local.tee 6
        i64.lt_s
        br_if 0 (;@2;)
      end
    end
    local.get 2
    i32.const 0
    i32.store offset=24
    local.get 2
    local.get 5
    i32.store offset=20
    local.get 2
    local.get 4
    i32.store offset=16
    local.get 2
    i32.const 6
    i32.store offset=12
    local.get 2
    i32.const 65756
    i32.store offset=8
    local.get 2
    i32.const 8
    i32.add
    local.get 6
    call 7
    local.set 8
    local.get 2
    i32.const 1328
    i32.add
    global.set 0
    local.get 8)
  (func (;19;) (type 3) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i64 i32 i64 i32 i32 i32 i32 f64 f64)
    global.get 0
    i32.const 1328
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    i32.const 32
    i32.add
    call 5
    local.get 2
    i32.const 32
    i32.add
    i32.const 0
    i32.const 2
    call 6
    i32.load offset=8
    local.set 3
    local.get 2
    i32.load offset=32
    i32.const 3
    i32.shl
    call 2
    local.set 4
    local.get 2
    i32.load offset=32
    i32.const 3
    i32.shr_u
    i32.const 1
    i32.add
    call 2
    local.set 5
    block  ;; label = @1
      local.get 2
      i64.load offset=32
      local.tee 6
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      i32.const 0
      i32.load offset=65872
      local.set 7
      i64.const 0
      local.set 8
      loop  ;; label = @2
        block  ;; label = @3
          block  ;; label = @4
            local.get 7
            local.get 3
            local.get 8
            i32.wrap_i64
            local.tee 9
            i32.const 2
            i32.shl
            i32.add
            i32.load
            local.tee 10
            i32.le_u
            br_if 0 (;@4;)
            i32.const 0
            i32.load offset=65876
            local.set 11
            br 1 (;@3;)
          end
          local.get 7
          i32.const 64
          local.get 7
          select
          local.set 11
          loop  ;; label = @4
            local.get 11
            local.tee 0
            i32.const 1
            i32.shl
            local.set 11
            local.get 0
            local.get 10
            i32.le_u
            br_if 0 (;@4;)
          end
          i32.const 0
          i32.load offset=65876
          local.set 12
          local.get 0
          i32.const 4
          i32.shl
          call 16
          local.set 11
          block  ;; label = @4
            local.get 7
            i32.const 4
            i32.shl
            local.tee 7
            i32.eqz
            br_if 0 (;@4;)
            local.get 11
            local.get 12
            local.get 7
            memory.copy
          end
          i32.const 0
          local.get 0
          i32.store offset=65872
          i32.const 0
          local.get 11
          i32.store offset=65876
          local.get 0
          local.set 7
        end
        local.get 8
        i64.const 3
        i64.shr_u
        i32.wrap_i64
        local.set 0
        block  ;; label = @3
          local.get 8
          i64.const 7
          i64.and
          local.tee 6
          i64.const 0
          i64.ne
          br_if 0 (;@3;)
          local.get 5
          local.get 0
          i32.add
          i32.const 0
          i32.store8
        end
        local.get 5
        local.get 0
        i32.add
        local.tee 12
        local.get 11
        local.get 10
        i32.const 4
        i32.shl
        i32.add
        local.tee 0
        i64.load
        i64.const 0
        i64.gt_s
        local.get 6
        i32.wrap_i64
        i32.shl
        local.get 12
        i32.load8_u
        i32.or
        i32.store8
        block  ;; label = @3
          block  ;; label = @4
            local.get 0
            i64.load
            local.tee 6
            i64.eqz
            i32.eqz
            br_if 0 (;@4;)
            f64.const 0x0p+0 (;=0;)
            local.set 13
            br 1 (;@3;)
          end
          block  ;; label = @4
            block  ;; label = @5
              local.get 0
              f64.load offset=8
              local.get 6
              f64.convert_i64_s
              f64.div
              local.tee 13
              f64.const 0x1.62e42fefa39efp-1 (;=0.693147;)
              f64.div
              f64.const -0x1p-1 (;=-0.5;)
              f64.const 0x1p-1 (;=0.5;)
              local.get 13
              f64.const 0x0p+0 (;=0;)
              f64.lt
              select
              f64.add
              local.tee 14
              f64.abs
              f64.const 0x1p+31 (;=2.14748e+09;)
              f64.lt
              i32.eqz
              br_if 0 (;@5;)
              local.get 14
              i32.trunc_f64_s
              local.set 0
              br 1 (;@4;)
            end
            i32.const -2147483648
            local.set 0
          end
          local.get 13
          local.get 0
          i32.const 1023
          local.get 0
          i32.const 1023
          i32.lt_s
          select
          local.tee 0
          f64.convert_i32_s
          local.tee 14
          f64.const 0x1.62e42fefa39efp-1 (;=0.693147;)
          f64.mul
          f64.sub
          local.get 14
          f64.const -0x1.abc9e3b39803fp-56 (;=-2.31905e-17;)
          f64.mul
          f64.add
          local.tee 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          local.get 13
          f64.const 0x1.2p+4 (;=18;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.1p+4 (;=17;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1p-4 (;=0.0625;)
          f64.mul
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.ep+3 (;=15;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.cp+3 (;=14;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.ap+3 (;=13;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.8p+3 (;=12;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.6p+3 (;=11;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.4p+3 (;=10;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.2p+3 (;=9;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1p-3 (;=0.125;)
          f64.mul
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.cp+2 (;=7;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.8p+2 (;=6;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.4p+2 (;=5;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1p-2 (;=0.25;)
          f64.mul
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1.8p+1 (;=3;)
          f64.div
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1p-1 (;=0.5;)
          f64.mul
          f64.const 0x1p+0 (;=1;)
          f64.add
          f64.mul
          f64.const 0x1p+0 (;=1;)
          f64.add
          local.get 0
          i32.const 1023
          i32.add
          i64.extend_i32_u
          i64.const 52
          i64.shl
          f64.reinterpret_i64
          f64.mul
          local.set 13
        end
        local.get 4
        local.get 9
        i32.const 3
        i32.shl
        i32.add
        local.get 13
        f64.store
        local.get 8
        i64.const 1
        i64.add
        local.tee 8
        local.get 2
        i64.load offset=32
        local.tee 6
        i64.lt_s
        br_if 0 (;@2;)
      end
    end
    local.get 2
    local.get 5
    i32.store offset=24
    local.get 2
    i32.const 0
    i32.store offset=20
    local.get 2
    local.get 4
    i32.store offset=16
    local.get 2
    i32.const 4
    i32.store offset=12
    local.get 2
    i32.const 65689
    i32.store offset=8
    local.get 2
    i32.const 8
    i32.add
    local.get 6
    call 7
    local.set 8
    local.get 2
    i32.const 1328
    i32.add
    global.set 0
    local.get 8)
  (func (;20;) (type 4) (param i32 i64) (result i64)
    (local i64 i32 i64 i64 i32 i32)
    i64.const 0
    local.set 2
    block  ;; label = @1
      local.get 0
      i32.load offset=16
      local.tee 3
      i32.eqz
      br_if 0 (;@1;)
      local.get 1
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      local.get 1
      i64.const 1
      i64.and
      local.set 4
      block  ;; label = @2
        block  ;; label = @3
          local.get 1
          i64.const 1
          i64.ne
          br_if 0 (;@3;)
          i64.const 0
          local.set 1
          i64.const 0
          local.set 2
          br 1 (;@2;)
        end
        local.get 1
        i64.const -2
        i64.and
        local.set 5
        i64.const 0
        local.set 1
        i32.const 0
        local.set 0
        i64.const 0
        local.set 2
        loop  ;; label = @3
          local.get 2
          local.get 3
          local.get 1
          i64.const 3
          i64.shr_u
          i32.wrap_i64
          i32.add
          i32.load8_u
          i32.const -1
          i32.xor
          local.tee 6
          local.get 0
          i32.const 6
          i32.and
          local.tee 7
          i32.shr_u
          i32.const 1
          i32.and
          i64.extend_i32_u
          i64.add
          local.get 6
          local.get 7
          i32.const 1
          i32.or
          i32.shr_u
          i32.const 1
          i32.and
          i64.extend_i32_u
          i64.add
          local.set 2
          local.get 0
          i32.const 2
          i32.add
          local.set 0
          local.get 5
          local.get 1
          i64.const 2
          i64.add
          local.tee 1
          i64.ne
          br_if 0 (;@3;)
        end
      end
      local.get 4
      i64.eqz
      br_if 0 (;@1;)
      local.get 2
      local.get 3
      local.get 1
      i64.const 3
      i64.shr_u
      i32.wrap_i64
      i32.add
      i32.load8_u
      i32.const -1
      i32.xor
      local.get 1
      i32.wrap_i64
      i32.const 7
      i32.and
      i32.shr_u
      i32.const 1
      i32.and
      i64.extend_i32_u
      i64.add
      local.set 2
    end
    local.get 2)
  (table (;0;) 1 1 funcref)
  (memory (;0;) 2)
  (global (;0;) (mut i32) (i32.const 65536))
  (export "memory" (memory 0))
  (export "windrow_alloc" (func 1))
  (export "plus_tax" (func 4))
  (export "slug" (func 12))
  (export "checked" (func 13))
  (export "series" (func 14))
  (export "geo_mean_update" (func 15))
  (export "geo_mean_merge" (func 17))
  (export "geo_mean_state" (func 18))
  (export "geo_mean_evaluate" (func 19))
  (data (;0;) (i32.const 65536) "x\00the input lacks a part\00no memory is left\00geo_mean is of positive, finite numbers\00a series has more than 8388608 numbers\00the input has too many columns\00geo_mean\00total\00a state has a wrong length\00slug\00a column is missing\00state\00a column is of an unexpected type\00a column has a type that windrow.h does not read\00\00\00\00\00\00\00\00\01\02\02\02\03\05\04"))
