# Ways from ring 3 (and from ring 0 itself) into the kernel, and back.
#
# A trap from ring 3 finds RSP at the end of the running thread's TrapFrame
# (TSS.RSP0), so that what the processor pushes and what is pushed here *is*
# that frame. Then the kernel's own stack is taken up where user_enter left it:
# entering user mode was a call, and this is its return.
#
# A trap from ring 0 pushes the same frame on the kernel stack and calls
# kernel_trap(&mut TrapFrame).

# From RBX down to R15. RAX is above them, RCX and R11 below.
.macro push_general
    push rbx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r12
    push r13
    push r14
    push r15
.endm

.macro pop_general
    pop r15
    pop r14
    pop r13
    pop r12
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rbx
.endm

# Back to the caller of user_enter, with a system call.
.macro return_to_kernel
    mov rsp, [rip + cpu_local + {kernel_rsp}]
    pop rbp
    pop rbx
    ret
.endm

# The same with anything else: to where user.rs says.
.macro return_with_trap
    mov rsp, [rip + cpu_local + {kernel_rsp}]
    pop rbp
    pop rbx
    add rsp, 8
    jmp [rip + user_trapped]
.endm

.section .text.vectors, "ax", @progbits
.globl trap_vectors
trap_vectors:

# Page fault, as long as the host may have the SYSCALL quirk (README,
# "Decisions"): there this is also how a system call arrives, as a user fetch
# fault at the very address that LSTAR has (no other access has that instruction
# pointer). RCX and R11 are then the call's; R11 may be forged by a program that
# jumped here, so its flags are made harmless.
page_fault:
    cmp qword ptr [rsp + 8], offset syscall_first
    jne vector_14
    mov [rsp], rax
    mov [rsp + 8], rcx
    and r11d, {flags_kept}
    or r11d, {flags_set}
    mov [rsp + 24], r11
    push_general
    # The frame has this reason already: see user_leave_any.
    cld
    return_to_kernel

# Every other trap. RAX is in its place; EAX holds the vector in its upper half
# and the error code, which never has more than 16 bits, in its lower half.
trap_common:
    push_general
    push rcx
    push r11
    movzx ecx, ax
    push rcx
    shr eax, 16
    push rax
    # SYSCALL masks the direction flag; a trap leaves what the program had.
    cld
    test byte ptr [rsp + {cs}], 3
    jz 2f
    return_with_trap
2:  cmp qword ptr [rsp + {rip}], offset user_leave_iretq
    je 3f
    mov rdi, rsp
    call kernel_trap
    add rsp, 16
    pop r11
    pop rcx
    pop_general
    pop rax
    iretq
# IRETQ refused the thread's frame (a forged return address): the fault is the
# thread's. RIP and what is above it in its frame are intact.
3:  mov rax, [rip + cpu_local + {frame_end}]
    mov qword ptr [rax - {frame_size} + {vector}], 13
    mov qword ptr [rax - {frame_size} + {error}], 0
    return_with_trap

# Exceptions that leave no machine to go on with: own stack, no return.
trap_fatal:
    push_general
    push rcx
    push r11
    movzx ecx, ax
    push rcx
    shr eax, 16
    push rax
    cld
    mov rdi, rsp
    call kernel_trap
    ud2

.macro vector_plain number
vector_\number:
    push rax
    mov eax, \number << 16
    jmp trap_common
.endm
.macro vector_error number
vector_\number:
    xchg [rsp], rax
    or eax, \number << 16
    jmp trap_common
.endm
.macro vector_fatal number, has_error
vector_\number:
    .if \has_error == 0
    push rax
    mov eax, \number << 16
    .else
    xchg [rsp], rax
    or eax, \number << 16
    .endif
    jmp trap_fatal
.endm

vector_plain 0
vector_plain 1
vector_fatal 2, 0
vector_plain 3
vector_plain 4
vector_plain 5
vector_plain 6
vector_plain 7
vector_fatal 8, 1
vector_plain 9
vector_error 10
vector_error 11
vector_error 12
vector_error 13
vector_error 14
vector_plain 15
vector_plain 16
vector_error 17
vector_fatal 18, 0
vector_plain 19
vector_plain 20
vector_error 21
vector_plain 32
vector_plain 33
vector_plain 34

# SYSCALL as the architecture has it. GS is the user's but for three
# instructions (kernel/README.md, "Entry").
.macro syscall_stub reason
    swapgs
    mov gs:[{scratch}], rsp
    mov rsp, gs:[{frame_end}]
    push {user_ss}
    push gs:[{scratch}]
    swapgs
    push r11
    push {user_cs}
    push rcx
    push rax
    push_general
    mov qword ptr [rsp - {r15} + {vector}], \reason
    mov qword ptr [rsp - {r15} + {leave}], offset user_leave_sysret
.endm

# LSTAR until the first of them arrives, which proves that the host has no
# quirk: then LSTAR becomes syscall_entry, and page faults are page faults.
.balign 16
.globl syscall_first
syscall_first:
    syscall_stub {reason_first}
    return_with_trap
.balign 16
.globl syscall_entry
syscall_entry:
    syscall_stub {reason_syscall}
    return_to_kernel

# user_enter(frame: *mut TrapFrame): runs ring 3 on that frame, returns at the
# next system call from it, and to user_trapped at anything else. Clobbers all
# but RBX, RBP and RSP. TSS.RSP0 and cpu.frame_end are the end of the frame.
# How it leaves lies by the frame: whoever writes why ring 3 was left says it.
.globl user_enter
user_enter:
    push rbx
    push rbp
    mov [rip + cpu_local + {kernel_rsp}], rsp
    jmp [rdi + {leave}]

# After anything but a call: all registers are the program's.
.globl user_leave_any
user_leave_any:
    mov rcx, [rdi + {rcx}]
    mov r11, [rdi + {r11}]
    # What comes next is a call by the quirk, or writes its own reason.
    mov dword ptr [rdi + {vector}], {reason_quirk}
    mov qword ptr [rdi + {leave}], offset user_leave_quirk
    jmp 4f

# After a call by the quirk, which says in RCX and R11 what SYSCALL would.
user_leave_quirk:
    mov rcx, [rdi + {rip}]
    mov r11, [rdi + {rflags}]
4:  lea rsp, [rdi + {r15}]
    pop_general
    pop rax
.globl user_leave_iretq
user_leave_iretq:
    iretq

# After a call by SYSCALL. SYSRET must not see an address that is not canonical:
# it would fault in ring 0 on the user's stack. IRETQ above refuses it safely.
user_leave_sysret:
    mov rcx, [rdi + {rip}]
    mov rax, rcx
    shr rax, 47
    jnz user_leave_any
    mov r11, [rdi + {rflags}]
    lea rsp, [rdi + {r15}]
    pop_general
    pop rax
    mov rsp, [rsp + {rsp} - {rip}]
.globl user_leave_sysretq
user_leave_sysretq:
    sysretq

# user_copy(to: rdi, from: rsi, length: rdx) -> rax: bytes not copied. Either
# side may be user memory; a fault in here ends the copy (kernel_trap).
.globl user_copy
user_copy:
    mov rcx, rdx
    shr rcx, 3
    and edx, 7
.globl user_copy_words
user_copy_words:
    rep movsq
    mov ecx, edx
.globl user_copy_bytes
user_copy_bytes:
    rep movsb
    xor eax, eax
    ret
.globl user_copy_words_fault
user_copy_words_fault:
    lea rax, [rdx + rcx * 8]
    ret
.globl user_copy_bytes_fault
user_copy_bytes_fault:
    mov rax, rcx
    ret

.macro gate target, ist
    .word ((\target - trap_vectors) + {vectors_low}) & 0xffff
    .word 0x08
    .byte \ist
    .byte 0x8e
    .word (((\target - trap_vectors) + {vectors_low}) >> 16) & 0xffff
    .long 0xffffffff
    .long 0
.endm
.macro no_gate
    .quad 0, 0
.endm

# Writable: the gate of page faults changes when the host is known (cpu.rs).
.section .data.idt, "aw", @progbits
.balign 16
.globl trap_gate_page_fault
trap_gate_page_fault:
    gate vector_14, 0
.globl trap_idt
trap_idt:
    gate vector_0, 0
    gate vector_1, 0
    gate vector_2, 1
    gate vector_3, 0
    gate vector_4, 0
    gate vector_5, 0
    gate vector_6, 0
    gate vector_7, 0
    gate vector_8, 1
    gate vector_9, 0
    gate vector_10, 0
    gate vector_11, 0
    gate vector_12, 0
    gate vector_13, 0
    gate page_fault, 0
    gate vector_15, 0
    gate vector_16, 0
    gate vector_17, 0
    gate vector_18, 1
    gate vector_19, 0
    gate vector_20, 0
    gate vector_21, 0
    no_gate
    no_gate
    no_gate
    no_gate
    no_gate
    no_gate
    no_gate
    no_gate
    no_gate
    no_gate
    gate vector_32, 0
    gate vector_33, 0
    gate vector_34, 0
.globl trap_idt_end
trap_idt_end:
