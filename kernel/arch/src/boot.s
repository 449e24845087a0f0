# The two ways into the kernel (vmm/machine/src/boot.rs).
#
# direct_entry: 64-bit mode, memory mapped, RBX = start info. Interrupts off.
# pvh_entry:    32-bit protected mode, paging off, EBX = start info. Builds the
#               same mappings that the direct protocol promises, then joins it.
#
# Both end in start(start_info: u64, direct: bool) -> !, on the boot stack. That
# is used by way of the direct map, whose pages are large: where ring 0 is
# emulated, each level of tables costs an access to the stack 35 ns.

.section .note.mayfly, "a", @note
.balign 4
.long 4, 4, {note_pvh}
.asciz "Xen"
.long pvh_entry - {base}
.balign 4
.long 7, 24, {note_direct}
.asciz "Mayfly"
.balign 4
.quad {direct_version}
.quad direct_entry
.quad {direct_map}

.section .text.boot, "ax", @progbits
.code64
.globl direct_entry
direct_entry:
    movabs rsp, offset boot_stack_top + {stack_shift}
    mov edi, ebx
    mov esi, 1
    xor ebp, ebp
    call start
    ud2

.code32
.globl pvh_entry
pvh_entry:
    # PML4: direct map slot and kernel slot; slot 0 (identity) only to get out of here.
    mov dword ptr [boot_pml4 - {base}], offset boot_pdpt_direct - {base} + 3
    mov dword ptr [boot_pml4 - {base} + 8 * {direct_slot}], offset boot_pdpt_direct - {base} + 3
    mov dword ptr [boot_pml4 - {base} + 8 * 511], offset boot_pdpt_kernel - {base} + 3
    mov dword ptr [boot_pdpt_kernel - {base} + 8 * 510], offset boot_pd_kernel - {base} + 3
    mov dword ptr [boot_pd_kernel - {base}], offset boot_pt_kernel - {base} + 3
    mov dword ptr [boot_pd_kernel - {base} + 8], offset boot_pt_kernel - {base} + 4096 + 3
    # Direct map: five page directories of 2 MiB pages, no execute.
    mov eax, offset boot_pd_direct - {base} + 3
    mov edi, offset boot_pdpt_direct - {base}
    mov ecx, 5
2:  mov [edi], eax
    add eax, 4096
    add edi, 8
    dec ecx
    jnz 2b
    # Entry flags: present, writable, large; the identity use below needs
    # execution, so NX is set once we run at the kernel's own address.
    xor ecx, ecx
    mov edi, offset boot_pd_direct - {base}
3:  mov eax, ecx
    shl eax, 21
    or eax, 0x83
    mov edx, ecx
    cmp edx, {device_first}
    jb 4f
    cmp edx, {device_end}
    jae 4f
    or eax, 0x18
4:  mov [edi], eax
    shr edx, 11
    mov [edi + 4], edx
    add edi, 8
    inc ecx
    cmp ecx, 512 * 5
    jb 3b
    # Kernel image: 4 KiB pages with the protection of their section.
    mov eax, offset kernel_start - {base}
    mov edi, offset boot_pt_kernel - {base} + ({load} >> 12) * 8
5:  mov ecx, 1
    xor edx, edx
    cmp eax, offset kernel_text_end - {base}
    jb 6f
    mov edx, 0x80000000
    cmp eax, offset kernel_rodata_end - {base}
    jb 6f
    mov ecx, 3
6:  or ecx, eax
    mov [edi], ecx
    mov [edi + 4], edx
    add edi, 8
    add eax, 4096
    cmp eax, offset kernel_end - {base}
    jb 5b
    # Long mode, as the direct protocol has it.
    mov eax, {cr4}
    mov cr4, eax
    mov eax, offset boot_pml4 - {base}
    mov cr3, eax
    mov ecx, 0xc0000080
    mov eax, 0x901
    xor edx, edx
    wrmsr
    mov eax, {cr0}
    mov cr0, eax
    lgdt [boot_gdt_pointer - {base}]
    ljmp 8, offset pvh_long - {base}
.code64
pvh_long:
    mov ecx, 0x10
    mov ds, ecx
    mov es, ecx
    mov ss, ecx
    movabs rax, offset pvh_high
    jmp rax
pvh_high:
    movabs rsp, offset boot_stack_top + {stack_shift}
    # The identity map has served; then no execution from the direct map.
    mov qword ptr [rip + boot_pml4], 0
    lea rdi, [rip + boot_pd_direct]
    mov ecx, 512 * 5
7:  or byte ptr [rdi + 7], 0x80
    add rdi, 8
    dec ecx
    jnz 7b
    mov rax, cr3
    mov cr3, rax
    mov edi, ebx
    xor esi, esi
    xor ebp, ebp
    call start
    ud2

.section .rodata.boot, "a", @progbits
.balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
    .word 23
    .quad boot_gdt - {base}

.section .bss.boot, "aw", @nobits
.balign 4096
boot_pml4: .skip 4096
boot_pdpt_direct: .skip 4096
boot_pdpt_kernel: .skip 4096
boot_pd_kernel: .skip 4096
boot_pt_kernel: .skip 8192
boot_pd_direct: .skip 4096 * 5
.globl boot_stack
boot_stack: .skip {stack_size}
.globl boot_stack_top
boot_stack_top:
