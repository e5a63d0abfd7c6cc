(module
  (type (;0;) (func (param i32 i32 i64)))
  (type (;1;) (func (param i32 i32)))
  (type (;2;) (func (param i32) (result i32)))
  (type (;3;) (func (param i32 i32 i32) (result i32)))
  (type (;4;) (func (param i32 i32) (result i64)))
  (type (;5;) (func (param i32 i64) (result i64)))
  (type (;6;) (func (param i32 i32) (result i32)))
  (type (;7;) (func (param i32 i64 i32)))
  (type (;8;) (func (param i32 i32 i64) (result i32)))
  (type (;9;) (func (result i64)))
  (import "windrow" "count" (func (;0;) (type 0)))
  (import "windrow" "fail" (func (;1;) (type 1)))
  (func (;2;) (type 2) (param i32) (result i32)
    i32.const 0
    i32.const 0
    i32.load offset=65736
    i32.store offset=65740
    local.get 0
    call 3)
  (func (;3;) (type 2) (param i32) (result i32)
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
        i32.load offset=65744
        local.tee 2
        i32.eqz
        br_if 0 (;@2;)
        i32.const 0
        i32.load offset=65740
        local.set 0
        br 1 (;@1;)
      end
      i32.const 0
      i32.const 65808
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.tee 0
      i32.store offset=65736
      i32.const 0
      local.get 0
      i32.store offset=65740
      i32.const 0
      memory.size
      i32.const 16
      i32.shl
      local.tee 2
      i32.store offset=65744
    end
    block  ;; label = @1
      local.get 2
      local.get 0
      i32.sub
      local.get 1
      i32.ge_u
      br_if 0 (;@1;)
      i32.const 65740
      local.get 2
      i32.const 0
      i32.load offset=65736
      i32.sub
      local.get 1
      call 4
      local.set 2
      i32.const 0
      i32.load offset=65740
      local.set 0
      local.get 2
      br_if 0 (;@1;)
      i32.const 0
      local.get 0
      i32.store offset=65736
    end
    i32.const 0
    local.get 0
    local.get 1
    i32.add
    i32.store offset=65740
    local.get 0)
  (func (;4;) (type 3) (param i32 i32 i32) (result i32)
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
    i32.const 65559
    i32.const 17
    call 1
    unreachable)
  (func (;5;) (type 4) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i32 i32 i64 i64 i32 i32 i64 i32 i32 i32 i64)
    global.get 0
    i32.const 1344
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    i32.const 48
    i32.add
    call 6
    local.get 2
    i32.const 48
    i32.add
    i32.const 0
    i32.const 5
    call 7
    local.tee 3
    i32.load offset=8
    local.set 4
    local.get 3
    i32.load offset=12
    local.get 2
    i32.load offset=48
    local.tee 0
    i32.const 2
    i32.shl
    i32.add
    i32.load
    local.tee 5
    i32.const 1
    i32.add
    call 3
    local.set 6
    local.get 5
    local.get 0
    i32.add
    i32.const 1
    i32.shl
    i32.const 4
    i32.add
    i32.const -4
    i32.and
    call 3
    local.tee 7
    i32.const 0
    i32.store
    i64.const 0
    local.set 8
    block  ;; label = @1
      block  ;; label = @2
        local.get 2
        i64.load offset=48
        local.tee 9
        i64.const 0
        i64.gt_s
        br_if 0 (;@2;)
        i32.const 0
        call 3
        local.set 5
        br 1 (;@1;)
      end
      i32.const 0
      local.get 6
      i32.sub
      local.set 10
      i64.const 0
      local.set 8
      local.get 6
      local.set 11
      i64.const 0
      local.set 12
      loop  ;; label = @2
        block  ;; label = @3
          block  ;; label = @4
            block  ;; label = @5
              local.get 3
              i32.load offset=16
              local.tee 0
              br_if 0 (;@5;)
              local.get 12
              i32.wrap_i64
              local.set 0
              br 1 (;@4;)
            end
            local.get 0
            local.get 12
            i64.const 3
            i64.shr_u
            i32.wrap_i64
            i32.add
            i32.load8_u
            local.get 12
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
          i32.load offset=12
          local.get 0
          i32.const 2
          i32.shl
          i32.add
          local.tee 5
          i32.load
          local.tee 0
          local.get 5
          i32.const 4
          i32.add
          i32.load
          local.tee 5
          i32.ge_s
          br_if 0 (;@3;)
          block  ;; label = @4
            loop  ;; label = @5
              block  ;; label = @6
                local.get 0
                local.get 5
                i32.ge_s
                br_if 0 (;@6;)
                loop  ;; label = @7
                  block  ;; label = @8
                    local.get 4
                    local.get 0
                    i32.add
                    i32.load8_u
                    local.tee 13
                    i32.const -9
                    i32.add
                    i32.const 5
                    i32.lt_u
                    br_if 0 (;@8;)
                    local.get 13
                    i32.const 32
                    i32.ne
                    br_if 2 (;@6;)
                  end
                  local.get 5
                  local.get 0
                  i32.const 1
                  i32.add
                  local.tee 0
                  i32.ne
                  br_if 0 (;@7;)
                  br 3 (;@4;)
                end
              end
              local.get 0
              local.get 5
              i32.eq
              br_if 1 (;@4;)
              block  ;; label = @6
                local.get 0
                local.get 5
                i32.ge_s
                br_if 0 (;@6;)
                local.get 10
                local.get 11
                i32.add
                local.set 13
                loop  ;; label = @7
                  block  ;; label = @8
                    local.get 4
                    local.get 0
                    i32.add
                    i32.load8_u
                    local.tee 14
                    i32.const -9
                    i32.add
                    local.tee 15
                    i32.const 23
                    i32.gt_u
                    br_if 0 (;@8;)
                    i32.const 1
                    local.get 15
                    i32.shl
                    i32.const 8388639
                    i32.and
                    br_if 2 (;@6;)
                  end
                  local.get 11
                  local.get 14
                  i32.store8
                  local.get 13
                  i32.const 1
                  i32.add
                  local.set 13
                  local.get 11
                  i32.const 1
                  i32.add
                  local.set 11
                  local.get 5
                  local.get 0
                  i32.const 1
                  i32.add
                  local.tee 0
                  i32.ne
                  br_if 0 (;@7;)
                end
                local.get 7
                local.get 8
                i64.const 1
                i64.add
                local.tee 8
                i32.wrap_i64
                i32.const 2
                i32.shl
                i32.add
                local.get 13
                i32.store
                br 2 (;@4;)
              end
              local.get 7
              local.get 8
              i64.const 1
              i64.add
              local.tee 8
              i32.wrap_i64
              i32.const 2
              i32.shl
              i32.add
              local.get 11
              local.get 6
              i32.sub
              i32.store
              local.get 0
              local.get 5
              i32.lt_s
              br_if 0 (;@5;)
            end
          end
          local.get 2
          i64.load offset=48
          local.set 9
        end
        local.get 12
        i64.const 1
        i64.add
        local.tee 12
        local.get 9
        i64.lt_s
        br_if 0 (;@2;)
      end
      local.get 8
      i32.wrap_i64
      i32.const 3
      i32.shl
      call 3
      local.set 5
      local.get 8
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      local.get 8
      i64.const 7
      i64.and
      local.set 12
      i64.const 0
      local.set 9
      block  ;; label = @2
        local.get 8
        i64.const -1
        i64.add
        i64.const 7
        i64.lt_u
        br_if 0 (;@2;)
        local.get 5
        i32.const 32
        i32.add
        local.set 0
        local.get 8
        i64.const -8
        i64.and
        local.set 16
        i64.const 0
        local.set 9
        loop  ;; label = @3
          local.get 0
          i64.const 1
          i64.store
          local.get 0
          i32.const 24
          i32.add
          i64.const 1
          i64.store
          local.get 0
          i32.const 16
          i32.add
          i64.const 1
          i64.store
          local.get 0
          i32.const 8
          i32.add
          i64.const 1
          i64.store
          local.get 0
          i32.const -8
          i32.add
          i64.const 1
          i64.store
          local.get 0
          i32.const -16
          i32.add
          i64.const 1
          i64.store
          local.get 0
          i32.const -24
          i32.add
          i64.const 1
          i64.store
          local.get 0
          i32.const -32
          i32.add
          i64.const 1
          i64.store
          local.get 0
          i32.const 64
          i32.add
          local.set 0
          local.get 16
          local.get 9
          i64.const 8
          i64.add
          local.tee 9
          i64.ne
          br_if 0 (;@3;)
        end
      end
      local.get 12
      i64.eqz
      br_if 0 (;@1;)
      local.get 5
      local.get 9
      i32.wrap_i64
      i32.const 3
      i32.shl
      i32.add
      local.set 0
      loop  ;; label = @2
        local.get 0
        i64.const 1
        i64.store
        local.get 0
        i32.const 8
        i32.add
        local.set 0
        local.get 12
        i64.const -1
        i64.add
        local.tee 12
        i64.const 0
        i64.ne
        br_if 0 (;@2;)
      end
    end
    i32.const 65608
    i32.const 5
    local.get 8
    call 0
    local.get 2
    i32.const 32
    i32.add
    i64.const 0
    i64.store
    local.get 2
    i32.const 28
    i32.add
    local.get 5
    i32.store
    local.get 2
    i32.const 24
    i32.add
    i32.const 3
    i32.store
    local.get 2
    i32.const 65614
    i32.store offset=20
    local.get 2
    i32.const 0
    i32.store offset=16
    local.get 2
    local.get 7
    i32.store offset=12
    local.get 2
    local.get 6
    i32.store offset=8
    local.get 2
    i32.const 5
    i32.store offset=4
    local.get 2
    i32.const 65670
    i32.store
    local.get 2
    local.get 8
    call 8
    local.set 12
    local.get 2
    i32.const 1344
    i32.add
    global.set 0
    local.get 12)
  (func (;6;) (type 1) (param i32 i32)
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
    call 9
    local.set 2
    local.get 3
    i32.const 8
    i32.add
    local.tee 5
    local.get 3
    i32.load offset=8
    i32.add
    i32.const 2
    call 9
    local.set 0
    local.get 2
    i32.const 1
    call 9
    local.set 3
    local.get 0
    i32.const 1
    call 9
    local.set 6
    local.get 0
    i32.const 2
    call 9
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
            call 9
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
              call 9
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
            call 9
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
              i32.const 65724
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
      i32.const 65577
      i32.const 30
      call 1
      unreachable
    end
    i32.const 65675
    i32.const 48
    call 1
    unreachable)
  (func (;7;) (type 3) (param i32 i32 i32) (result i32)
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
      i32.const 65616
      i32.const 19
      call 1
      unreachable
    end
    i32.const 65636
    i32.const 33
    call 1
    unreachable)
  (func (;8;) (type 5) (param i32 i64) (result i64)
    (local i32 i32 i32 i32 i32 i64 i64 i64)
    global.get 0
    i32.const 32
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 1
    local.get 2
    call 10
    local.get 0
    i32.load
    local.set 3
    i32.const 1022
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
      i32.const -1022
      i32.add
      i32.load8_u
      br_if 0 (;@1;)
    end
    local.get 2
    i64.load offset=16
    local.set 7
    local.get 2
    i64.load offset=8
    local.set 8
    local.get 2
    i64.load
    local.set 9
    local.get 0
    i32.const 20
    i32.add
    local.get 1
    local.get 2
    call 10
    local.get 7
    local.get 8
    local.get 9
    i64.add
    i64.add
    i32.wrap_i64
    local.get 6
    i32.add
    local.set 5
    local.get 0
    i32.load offset=20
    local.set 4
    loop  ;; label = @1
      local.get 5
      i32.const 1
      i32.add
      local.set 5
      local.get 4
      i32.load8_u
      local.set 3
      local.get 4
      i32.const 1
      i32.add
      local.set 4
      local.get 3
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
    local.get 5
    i32.add
    call 3
    local.tee 4
    local.get 0
    call 11
    local.get 0
    local.get 1
    call 12
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
  (func (;9;) (type 6) (param i32 i32) (result i32)
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
      i32.const 65536
      i32.const 22
      call 1
      unreachable
    end
    local.get 0
    local.get 1
    i32.add
    local.tee 0
    local.get 0
    i32.load
    i32.add)
  (func (;10;) (type 7) (param i32 i64 i32)
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
  (func (;11;) (type 6) (param i32 i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32)
    local.get 0
    i32.const 2
    i32.store offset=64
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
    local.get 0
    i32.const 68
    i32.add
    local.set 2
    local.get 0
    i32.const 80
    i32.add
    local.set 3
    local.get 0
    i32.const 8
    i32.add
    local.set 4
    i32.const 1
    local.set 5
    i32.const 0
    local.set 6
    loop  ;; label = @1
      local.get 2
      local.get 6
      i32.const 2
      i32.shl
      i32.add
      local.tee 7
      local.get 3
      i32.const 16
      i32.add
      local.get 7
      i32.sub
      i32.store
      local.get 1
      local.get 6
      i32.const 20
      i32.mul
      i32.add
      local.tee 6
      i32.load offset=4
      local.set 7
      local.get 3
      i32.const 8
      i32.store offset=40
      local.get 3
      i64.const 262148
      i64.store offset=32 align=4
      local.get 3
      i32.const 0
      i32.store16 offset=30
      local.get 3
      i32.const 1
      i32.store8 offset=28
      local.get 3
      i32.const 16
      i32.store offset=24
      local.get 3
      i64.const 154618822672
      i64.store offset=16 align=4
      local.get 3
      i64.const 524301
      i64.store offset=8 align=4
      local.get 3
      i64.const 3377716901445644
      i64.store align=4
      local.get 3
      i64.const 0
      i64.store offset=44 align=4
      local.get 3
      i32.const 52
      i32.add
      i64.const 0
      i64.store align=4
      local.get 3
      local.get 7
      i32.const 65728
      i32.add
      i32.load8_u
      i32.store8 offset=29
      block  ;; label = @2
        local.get 6
        i32.load offset=4
        local.tee 7
        i32.const -1
        i32.add
        i32.const 2
        i32.gt_u
        br_if 0 (;@2;)
        local.get 3
        i64.const 0
        i64.store offset=52 align=4
        local.get 3
        i32.const 8
        i32.store offset=40
        local.get 3
        i64.const 2251816994340872
        i64.store offset=32 align=4
        local.get 3
        i64.const 2203318222864
        i64.store offset=24 align=4
        local.get 3
        i64.const 154618822672
        i64.store offset=16 align=4
        local.get 3
        i64.const 524301
        i64.store offset=8 align=4
        local.get 3
        i64.const 3377716901445644
        i64.store align=4
        local.get 3
        local.get 7
        i32.const 2
        i32.ne
        i32.store offset=48
        local.get 3
        i32.const 64
        i32.const 32
        local.get 7
        i32.const 3
        i32.eq
        select
        i32.store offset=44
        local.get 6
        i32.const 4
        i32.add
        i32.load
        local.set 7
      end
      block  ;; label = @2
        local.get 7
        i32.const 4
        i32.ne
        br_if 0 (;@2;)
        local.get 3
        i32.const 0
        i32.store offset=56
        local.get 3
        i64.const 0
        i64.store offset=48 align=4
        local.get 3
        i64.const 8589934600
        i64.store offset=40 align=4
        local.get 3
        i64.const 17180393478
        i64.store offset=32 align=4
        local.get 3
        i64.const 3302829850640
        i64.store offset=24 align=4
        local.get 3
        i64.const 154618822672
        i64.store offset=16 align=4
        local.get 3
        i64.const 524301
        i64.store offset=8 align=4
        local.get 3
        i64.const 3377716901445644
        i64.store align=4
      end
      local.get 6
      i32.load
      local.set 8
      i32.const 0
      local.set 6
      loop  ;; label = @2
        local.get 8
        local.get 6
        i32.add
        local.set 7
        local.get 6
        i32.const 1
        i32.add
        local.tee 9
        local.set 6
        local.get 7
        i32.load8_u
        br_if 0 (;@2;)
      end
      local.get 3
      local.get 9
      i32.const -1
      i32.add
      i32.store offset=56
      local.get 3
      i32.const 60
      i32.add
      local.get 8
      local.get 9
      memory.copy
      local.get 3
      local.get 9
      i32.const 67
      i32.add
      i32.const -8
      i32.and
      i32.add
      local.set 3
      i32.const 1
      local.set 6
      local.get 5
      i32.const 1
      i32.and
      local.set 7
      i32.const 0
      local.set 5
      local.get 7
      br_if 0 (;@1;)
    end
    local.get 0
    local.get 3
    local.get 4
    i32.sub
    i32.store offset=4
    local.get 3)
  (func (;12;) (type 8) (param i32 i32 i64) (result i32)
    (local i32 i64 i32 i32 i64 i32 i32 i32 i32)
    global.get 0
    i32.const 32
    i32.sub
    local.tee 3
    global.set 0
    local.get 0
    i64.const 8589934592
    i64.store offset=88
    local.get 0
    i64.const 52
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
    local.get 1
    local.get 2
    call 16
    local.set 4
    local.get 0
    local.get 2
    i64.store offset=112
    local.get 0
    local.get 4
    i64.store offset=104
    local.get 1
    i32.const 20
    i32.add
    local.tee 5
    local.get 2
    call 16
    local.set 4
    local.get 0
    i32.const 0
    i32.store offset=132
    local.get 0
    local.get 4
    i64.store offset=120
    local.get 1
    local.get 2
    local.get 3
    call 10
    local.get 0
    i64.const 0
    i64.store offset=136
    local.get 0
    local.get 3
    i64.load
    local.tee 4
    i64.store offset=144
    local.get 0
    local.get 0
    i32.load offset=132
    i32.const 1
    i32.add
    i32.store offset=132
    local.get 4
    i64.const 7
    i64.add
    i64.const 4294967288
    i64.and
    local.set 4
    block  ;; label = @1
      block  ;; label = @2
        local.get 1
        i32.load offset=12
        br_if 0 (;@2;)
        local.get 0
        i32.const 152
        i32.add
        local.set 6
        br 1 (;@1;)
      end
      local.get 0
      local.get 4
      i64.store offset=152
      local.get 0
      local.get 3
      i64.load offset=8
      local.tee 7
      i64.store offset=160
      local.get 0
      local.get 0
      i32.load offset=132
      i32.const 1
      i32.add
      i32.store offset=132
      local.get 0
      i32.const 168
      i32.add
      local.set 6
      local.get 7
      i64.const 7
      i64.add
      i64.const 4294967288
      i64.and
      local.get 4
      i64.add
      local.set 4
    end
    local.get 6
    local.get 4
    i64.store
    local.get 6
    local.get 3
    i64.load offset=16
    local.tee 7
    i64.store offset=8
    local.get 0
    local.get 0
    i32.load offset=132
    i32.const 1
    i32.add
    i32.store offset=132
    local.get 5
    local.get 2
    local.get 3
    call 10
    local.get 6
    local.get 7
    i64.const 7
    i64.add
    i64.const 4294967288
    i64.and
    local.get 4
    i64.add
    local.tee 4
    i64.store offset=16
    local.get 6
    local.get 3
    i64.load
    local.tee 7
    i64.store offset=24
    local.get 0
    local.get 0
    i32.load offset=132
    i32.const 1
    i32.add
    i32.store offset=132
    local.get 7
    i64.const 7
    i64.add
    i64.const 4294967288
    i64.and
    local.get 4
    i64.add
    local.set 4
    block  ;; label = @1
      block  ;; label = @2
        local.get 1
        i32.const 32
        i32.add
        i32.load
        br_if 0 (;@2;)
        local.get 6
        i32.const 32
        i32.add
        local.set 6
        br 1 (;@1;)
      end
      local.get 6
      local.get 4
      i64.store offset=32
      local.get 6
      local.get 3
      i64.load offset=8
      local.tee 7
      i64.store offset=40
      local.get 0
      local.get 0
      i32.load offset=132
      i32.const 1
      i32.add
      i32.store offset=132
      local.get 6
      i32.const 48
      i32.add
      local.set 6
      local.get 7
      i64.const 7
      i64.add
      i64.const 4294967288
      i64.and
      local.get 4
      i64.add
      local.set 4
    end
    local.get 6
    local.get 4
    i64.store
    local.get 6
    local.get 3
    i64.load offset=16
    i64.store offset=8
    local.get 0
    i64.const 196612
    i64.store offset=40
    local.get 0
    i64.const 154618822668
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
    i32.const -1
    i32.store
    local.get 0
    local.get 3
    i64.load offset=16
    i64.const 7
    i64.add
    i64.const 4294967288
    i64.and
    local.get 4
    i64.add
    i64.store offset=32
    local.get 0
    local.get 0
    i32.load offset=132
    i32.const 1
    i32.add
    i32.store offset=132
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
    local.set 10
    local.get 1
    local.get 2
    local.get 3
    call 10
    i32.const 0
    local.set 0
    i32.const 0
    local.set 11
    block  ;; label = @1
      local.get 3
      i64.load
      local.tee 4
      i64.eqz
      br_if 0 (;@1;)
      local.get 6
      local.get 10
      local.get 4
      i32.wrap_i64
      local.tee 11
      memory.copy
      local.get 11
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.set 11
    end
    local.get 6
    local.get 11
    i32.add
    local.set 6
    block  ;; label = @1
      local.get 3
      i64.load offset=8
      local.tee 4
      i64.eqz
      br_if 0 (;@1;)
      local.get 6
      local.get 9
      local.get 4
      i32.wrap_i64
      memory.copy
      local.get 3
      i32.load offset=8
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.set 0
    end
    local.get 6
    local.get 0
    i32.add
    local.set 0
    i32.const 0
    local.set 6
    i32.const 0
    local.set 11
    block  ;; label = @1
      local.get 3
      i64.load offset=16
      local.tee 4
      i64.eqz
      br_if 0 (;@1;)
      local.get 0
      local.get 8
      local.get 4
      i32.wrap_i64
      memory.copy
      local.get 3
      i32.load offset=16
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.set 11
    end
    local.get 1
    i32.const 28
    i32.add
    i32.load
    local.set 8
    local.get 1
    i32.const 36
    i32.add
    i32.load
    local.set 9
    local.get 1
    i32.load offset=32
    local.set 10
    local.get 5
    local.get 2
    local.get 3
    call 10
    local.get 0
    local.get 11
    i32.add
    local.set 0
    block  ;; label = @1
      local.get 3
      i64.load
      local.tee 2
      i64.eqz
      br_if 0 (;@1;)
      local.get 0
      local.get 9
      local.get 2
      i32.wrap_i64
      memory.copy
      local.get 3
      i32.load
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
      local.get 10
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
  (func (;13;) (type 4) (param i32 i32) (result i64)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32)
    global.get 0
    i32.const 1344
    i32.sub
    local.tee 2
    global.set 0
    local.get 0
    local.get 2
    call 6
    local.get 2
    i32.const 0
    i32.const 5
    call 7
    local.set 3
    local.get 2
    i32.const 1
    i32.const 3
    call 7
    local.tee 4
    i32.load offset=8
    local.set 5
    local.get 3
    i32.load offset=8
    local.set 6
    i32.const 0
    i32.load offset=65760
    local.get 3
    i32.load offset=12
    local.get 2
    i32.load
    local.tee 0
    i32.const 2
    i32.shl
    local.tee 7
    i32.add
    i32.load
    i32.add
    i32.const 1
    i32.add
    call 3
    local.set 8
    local.get 7
    i32.const 4
    i32.add
    call 3
    local.set 9
    local.get 0
    i32.const 3
    i32.shl
    call 3
    local.set 10
    local.get 9
    i32.const 0
    i32.store
    i64.const 0
    local.set 11
    block  ;; label = @1
      local.get 2
      i64.load
      i64.const 1
      i64.lt_s
      br_if 0 (;@1;)
      i64.const 0
      local.set 12
      i64.const 0
      local.set 11
      loop  ;; label = @2
        block  ;; label = @3
          block  ;; label = @4
            block  ;; label = @5
              local.get 3
              i32.load offset=16
              local.tee 0
              br_if 0 (;@5;)
              local.get 12
              i32.wrap_i64
              local.set 13
              br 1 (;@4;)
            end
            local.get 0
            local.get 12
            i64.const 3
            i64.shr_u
            i32.wrap_i64
            i32.add
            i32.load8_u
            local.get 12
            i32.wrap_i64
            local.tee 13
            i32.const 7
            i32.and
            i32.shr_u
            i32.const 1
            i32.and
            i32.eqz
            br_if 1 (;@3;)
          end
          local.get 3
          i32.load offset=12
          local.get 13
          i32.const 2
          i32.shl
          i32.add
          local.tee 0
          i32.const 4
          i32.add
          i32.load
          local.get 0
          i32.load
          local.tee 0
          i32.sub
          local.set 7
          local.get 6
          local.get 0
          i32.add
          local.set 14
          i32.const 0
          i32.load offset=65760
          local.set 15
          block  ;; label = @4
            block  ;; label = @5
              i32.const 0
              i32.load8_u offset=65784
              local.tee 16
              i32.eqz
              br_if 0 (;@5;)
              local.get 15
              local.get 7
              i32.ne
              br_if 0 (;@5;)
              local.get 7
              i32.const 1
              i32.lt_s
              br_if 1 (;@4;)
              i32.const 0
              i32.load offset=65752
              local.tee 17
              i32.load8_u
              local.get 14
              i32.load8_u
              i32.ne
              br_if 0 (;@5;)
              i32.const 1
              local.set 18
              block  ;; label = @6
                loop  ;; label = @7
                  local.get 7
                  local.get 18
                  local.tee 0
                  i32.eq
                  br_if 1 (;@6;)
                  local.get 0
                  i32.const 1
                  i32.add
                  local.set 18
                  local.get 17
                  local.get 0
                  i32.add
                  i32.load8_u
                  local.get 14
                  local.get 0
                  i32.add
                  i32.load8_u
                  i32.eq
                  br_if 0 (;@7;)
                end
              end
              local.get 0
              local.get 7
              i32.ge_s
              br_if 1 (;@4;)
            end
            block  ;; label = @5
              local.get 16
              i32.eqz
              br_if 0 (;@5;)
              local.get 9
              local.get 11
              i32.wrap_i64
              local.tee 18
              i32.const 2
              i32.shl
              i32.add
              i32.load
              local.set 0
              block  ;; label = @6
                local.get 15
                i32.eqz
                br_if 0 (;@6;)
                local.get 8
                local.get 0
                i32.add
                i32.const 0
                i32.load offset=65752
                local.get 15
                memory.copy
              end
              local.get 10
              local.get 18
              i32.const 3
              i32.shl
              i32.add
              i32.const 0
              i64.load offset=65776
              i64.store
              local.get 9
              local.get 11
              i64.const 1
              i64.add
              local.tee 11
              i32.wrap_i64
              i32.const 2
              i32.shl
              i32.add
              local.get 0
              local.get 15
              i32.add
              i32.store
            end
            block  ;; label = @5
              i32.const 0
              i32.load offset=65768
              local.get 7
              i32.ge_s
              br_if 0 (;@5;)
              i32.const 0
              local.get 7
              i32.const 1
              i32.shl
              local.tee 0
              i32.store offset=65768
              i32.const 0
              local.get 0
              call 14
              i32.store offset=65752
            end
            block  ;; label = @5
              local.get 7
              i32.eqz
              br_if 0 (;@5;)
              i32.const 0
              i32.load offset=65752
              local.get 14
              local.get 7
              memory.copy
            end
            i32.const 0
            i64.const 0
            i64.store offset=65776
            i32.const 0
            local.get 7
            i32.store offset=65760
            i32.const 0
            i32.const 1
            i32.store8 offset=65784
          end
          block  ;; label = @4
            local.get 4
            i32.load offset=16
            local.tee 0
            i32.eqz
            br_if 0 (;@4;)
            local.get 0
            local.get 12
            i64.const 3
            i64.shr_u
            i32.wrap_i64
            i32.add
            i32.load8_u
            local.get 13
            i32.const 7
            i32.and
            i32.shr_u
            i32.const 1
            i32.and
            i32.eqz
            br_if 1 (;@3;)
          end
          i32.const 0
          i32.const 0
          i64.load offset=65776
          local.get 5
          local.get 13
          i32.const 3
          i32.shl
          i32.add
          i64.load
          i64.add
          i64.store offset=65776
        end
        local.get 12
        i64.const 1
        i64.add
        local.tee 12
        local.get 2
        i64.load
        i64.lt_s
        br_if 0 (;@2;)
      end
    end
    local.get 2
    i32.const 1328
    i32.add
    i64.const 0
    i64.store
    local.get 2
    i32.const 1324
    i32.add
    local.get 10
    i32.store
    local.get 2
    i32.const 1320
    i32.add
    i32.const 3
    i32.store
    local.get 2
    i32.const 65614
    i32.store offset=1316
    local.get 2
    i32.const 0
    i32.store offset=1312
    local.get 2
    local.get 9
    i32.store offset=1308
    local.get 2
    local.get 8
    i32.store offset=1304
    local.get 2
    i32.const 5
    i32.store offset=1300
    local.get 2
    i32.const 65670
    i32.store offset=1296
    local.get 2
    i32.const 1296
    i32.add
    local.get 11
    call 8
    local.set 12
    local.get 2
    i32.const 1344
    i32.add
    global.set 0
    local.get 12)
  (func (;14;) (type 2) (param i32) (result i32)
    (local i32)
    block  ;; label = @1
      i32.const 0
      i32.load offset=65792
      i32.const 0
      i32.load offset=65788
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
      i32.const 65788
      i32.const 0
      local.get 0
      call 4
      drop
      i32.const 0
      i32.load offset=65788
      local.set 1
    end
    i32.const 0
    local.get 1
    local.get 0
    i32.add
    i32.store offset=65788
    local.get 1)
  (func (;15;) (type 9) (result i64)
    (local i32 i64 i32 i32 i32 i32)
    global.get 0
    i32.const 48
    i32.sub
    local.tee 0
    global.set 0
    i64.const 0
    local.set 1
    block  ;; label = @1
      i32.const 0
      i32.load8_u offset=65784
      i32.eqz
      br_if 0 (;@1;)
      i32.const 0
      i32.load offset=65760
      i32.const 1
      i32.add
      call 3
      local.set 2
      i32.const 8
      call 3
      local.set 3
      i32.const 8
      call 3
      local.set 4
      local.get 3
      i32.const 0
      i32.store
      block  ;; label = @2
        i32.const 0
        i32.load offset=65760
        local.tee 5
        i32.eqz
        br_if 0 (;@2;)
        local.get 2
        i32.const 0
        i32.load offset=65752
        local.get 5
        memory.copy
      end
      local.get 4
      i32.const 0
      i64.load offset=65776
      i64.store
      local.get 3
      local.get 5
      i32.store offset=4
      i32.const 0
      i32.const 0
      i32.store8 offset=65784
      local.get 0
      i32.const 32
      i32.add
      i64.const 0
      i64.store
      local.get 0
      i32.const 28
      i32.add
      local.get 4
      i32.store
      local.get 0
      i32.const 24
      i32.add
      i32.const 3
      i32.store
      local.get 0
      i32.const 65614
      i32.store offset=20
      local.get 0
      i32.const 0
      i32.store offset=16
      local.get 0
      local.get 3
      i32.store offset=12
      local.get 0
      local.get 2
      i32.store offset=8
      local.get 0
      i32.const 5
      i32.store offset=4
      local.get 0
      i32.const 65670
      i32.store
      local.get 0
      i64.const 1
      call 8
      local.set 1
    end
    local.get 0
    i32.const 48
    i32.add
    global.set 0
    local.get 1)
  (func (;16;) (type 5) (param i32 i64) (result i64)
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
  (export "windrow_alloc" (func 2))
  (export "tokenize" (func 5))
  (export "sum" (func 13))
  (export "sum_finish" (func 15))
  (data (;0;) (i32.const 65536) "the input lacks a part\00no memory is left\00the input has too many columns\00words\00n\00a column is missing\00a column is of an unexpected type\00word\00a column has a type that windrow.h does not read\00\00\00\00\00\01\02\02\02\03\05\04"))
