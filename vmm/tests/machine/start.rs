//! What a guest finds when it starts, by either entry.

use iced_x86::code_asm::{
    CodeAssembler, byte_ptr, dword_ptr, dx, eax, ebx, ecx, edx, rax, rbx, rsi,
};
use mayfly_machine::{boot, device, layout};
use mayfly_vmm::{Config, CrashKind, Entry, Module, ModuleFile, Stop, Vm};

use crate::common::{
    CODE, CODE_PHYSICAL, DATA, DATA_PHYSICAL, Kernel, code, crash, exit, kernel, run, small, vm,
};

#[repr(align(4096))]
struct Page([u8; 4096]);
static PAGE: Page = Page([0x5a; 4096]);

/// Ends the machine with EAX.
fn exit_eax(a: &mut CodeAssembler) {
    a.mov(edx, u32::from(mayfly_machine::exit::EXIT_PORT))
        .unwrap();
    a.out(dx, eax).unwrap();
}

/// Ends the machine with the word at a physical address.
fn exit_word(physical: u64) -> Vec<u8> {
    kernel(|a| {
        a.mov(rsi, layout::DIRECT_MAP_BASE + physical).unwrap();
        a.mov(eax, dword_ptr(rsi)).unwrap();
        exit_eax(a);
    })
}

fn bytes<const N: usize>(vm: &Vm, address: u64) -> [u8; N] {
    let mut bytes = [0; N];
    vm.read_memory(address, &mut bytes).unwrap();
    bytes
}

fn word(vm: &Vm, address: u64) -> u64 {
    u64::from_le_bytes(bytes(vm, address))
}

#[test]
fn the_direct_entry_has_the_registers_of_its_contract() {
    let vm = vm(|a| exit(a, 1));
    let r = vm.registers().unwrap();
    assert_eq!((r.rip, r.rbx, r.rflags), (CODE, layout::START_INFO, 2));
    assert_eq!(
        (r.rsp, r.rax, r.rcx, r.rdx, r.rsi, r.rdi),
        (0, 0, 0, 0, 0, 0)
    );
    assert_eq!((r.cr0, r.cr4, r.efer), (0x8001_0031, 0x6a0, 0xd01));
    assert_eq!((r.cs, r.ss, r.cpl()), (0x08, 0x10, 0));
}

#[test]
fn the_guest_finds_the_start_info_through_rbx() {
    let mut vm = vm(|a| {
        a.mov(rax, layout::DIRECT_MAP_BASE).unwrap();
        a.mov(eax, dword_ptr(rax + rbx)).unwrap();
        exit_eax(a);
    });
    assert_eq!(run(&mut vm), Stop::Exit(boot::START_INFO_MAGIC));
}

#[test]
fn the_start_info_names_memory_modules_and_command_line() {
    let config = Config {
        command_line: "quiet".into(),
        ..small()
    };
    let modules = [
        Module::Static(&PAGE.0),
        Module::Owned(ModuleFile::from_bytes(b"hello").unwrap()),
    ];
    let vm = Vm::new(&config, &kernel(|a| exit(a, 1)), &modules).unwrap();
    let info = layout::START_INFO;
    assert_eq!(word(&vm, info), u64::from(boot::START_INFO_MAGIC) | 1 << 32);
    assert_eq!(word(&vm, info + 8) >> 32, 2);
    assert_eq!(word(&vm, info + 16), layout::MODULE_LIST);
    assert_eq!(word(&vm, layout::MODULE_LIST), layout::MODULE_BASE);
    assert_eq!(word(&vm, layout::MODULE_LIST + 8), 4096);
    assert_eq!(
        word(&vm, layout::MODULE_LIST + 32),
        layout::MODULE_BASE + 4096
    );
    assert_eq!(word(&vm, layout::MODULE_LIST + 40), 5);
    assert_eq!(word(&vm, info + 24), layout::COMMAND_LINE);
    let line = bytes::<64>(&vm, layout::COMMAND_LINE);
    assert!(line.starts_with(b"quiet virtio_mmio.device=4K@0xd0000000:5"));
    assert!(line.contains(&0));
    assert_eq!(word(&vm, info + 40), layout::MEMORY_MAP);
    assert_eq!(word(&vm, info + 48), 1);
    assert_eq!(word(&vm, layout::MEMORY_MAP), 0);
    assert_eq!(word(&vm, layout::MEMORY_MAP + 8), 4 << 20);
    assert_eq!(
        word(&vm, layout::MEMORY_MAP + 16),
        u64::from(boot::MEMORY_RAM)
    );
}

#[test]
fn modules_lie_page_after_page_and_can_be_read() {
    let mut contents = vec![1; 4096];
    contents.extend(0xdead_beef_u32.to_le_bytes());
    let modules = [
        Module::Static(&PAGE.0),
        Module::Owned(ModuleFile::from_bytes(&contents).unwrap()),
    ];
    for (page, expected) in [(0, 0x5a5a_5a5a), (1, 0x0101_0101), (2, 0xdead_beef)] {
        let kernel = exit_word(layout::MODULE_BASE + page * 4096);
        let mut vm = Vm::new(&small(), &kernel, &modules).unwrap();
        assert_eq!(run(&mut vm), Stop::Exit(expected));
    }
}

#[test]
fn a_file_is_a_module_without_a_copy() {
    use std::io::Write;
    let mut file = vmm_sys_util::tempfile::TempFile::new().unwrap().into_file();
    file.write_all(&0x1234_5678_u32.to_le_bytes()).unwrap();
    let module = Module::Owned(ModuleFile::from_file(&file).unwrap());
    let kernel = exit_word(layout::MODULE_BASE);
    let mut vm = Vm::new(&small(), &kernel, &[module]).unwrap();
    assert_eq!(run(&mut vm), Stop::Exit(0x1234_5678));
}

#[test]
fn a_module_cannot_be_written() {
    let kernel = kernel(|a| {
        a.mov(rax, layout::DIRECT_MAP_BASE + layout::MODULE_BASE)
            .unwrap();
        a.mov(byte_ptr(rax), 1).unwrap();
    });
    let mut vm = Vm::new(&small(), &kernel, &[Module::Static(&PAGE.0)]).unwrap();
    let stopped = crash(&mut vm).what;
    let expected = CrashKind::UnknownMmio {
        address: layout::MODULE_BASE,
        size: 1,
        write: true,
    };
    assert_eq!(stopped, expected);
    assert_eq!(PAGE.0[0], 0x5a);
}

#[test]
fn segments_have_their_own_protection() {
    let mut write_code = vm(|a| {
        a.mov(rax, CODE).unwrap();
        a.mov(byte_ptr(rax), 1).unwrap();
        exit(a, 1);
    });
    assert_eq!(crash(&mut write_code).what, CrashKind::TripleFault);
    let mut execute_data = vm(|a| {
        a.mov(rax, DATA).unwrap();
        a.jmp(rax).unwrap();
    });
    assert_eq!(crash(&mut execute_data).what, CrashKind::TripleFault);
    let mut execute_direct_map = vm(|a| {
        a.mov(rax, layout::DIRECT_MAP_BASE + CODE_PHYSICAL).unwrap();
        a.jmp(rax).unwrap();
    });
    assert_eq!(crash(&mut execute_direct_map).what, CrashKind::TripleFault);
}

#[test]
fn virtual_and_physical_reads_see_the_same() {
    let mut guest = vm(|a| {
        a.mov(rax, DATA + 0xffc).unwrap();
        a.mov(iced_x86::code_asm::qword_ptr(rax), 0x1122_3344)
            .unwrap();
        exit(a, 1);
    });
    assert_eq!(run(&mut guest), Stop::Exit(1));
    // Across a page border.
    let mut seen = [0; 8];
    guest.read_virtual(DATA + 0xffc, &mut seen).unwrap();
    assert_eq!(u64::from_le_bytes(seen), 0x1122_3344);
    assert_eq!(word(&guest, DATA_PHYSICAL + 0xffc), 0x1122_3344);
    assert!(guest.read_virtual(0x1000, &mut seen).is_err());
    assert!(guest.read_memory((4 << 20) - 4, &mut seen).is_err());
}

#[test]
fn the_clock_rates_are_in_the_timing_leaf() {
    let mut vm = vm(|a| {
        a.mov(eax, device::TIMING_LEAF).unwrap();
        a.cpuid().unwrap();
        a.mov(eax, ebx).unwrap();
        exit_eax(a);
    });
    assert_eq!(run(&mut vm), Stop::Exit(device::LAPIC_TIMER_KHZ));
}

#[test]
fn ring_3_does_not_find_xsave_enabled() {
    // OSXSAVE, which programs look at before they use AVX.
    let mut vm = vm(|a| {
        a.mov(eax, 1).unwrap();
        a.cpuid().unwrap();
        a.mov(eax, ecx).unwrap();
        a.and(eax, 1 << 27).unwrap();
        exit_eax(a);
    });
    assert_eq!(run(&mut vm), Stop::Exit(0));
}

/// A kernel with both entries; the PVH one ends with the start info's magic.
fn with_pvh() -> Kernel {
    let mut kernel = Kernel::new(code(|a| exit(a, 64)));
    let mut pvh = CodeAssembler::new(32).unwrap();
    pvh.mov(eax, dword_ptr(ebx)).unwrap();
    exit_eax(&mut pvh);
    let pvh = pvh.assemble(0).unwrap();
    let bytes = &mut kernel.segments[0].bytes;
    bytes.resize(0x100, 0x90);
    bytes.extend(pvh);
    kernel.segments[0].memory = bytes.len() as u64;
    kernel.pvh = Some(CODE_PHYSICAL as u32 + 0x100);
    kernel
}

#[test]
fn the_pvh_entry_is_used_when_asked_for() {
    let config = Config {
        entry: Entry::Pvh,
        ..small()
    };
    let mut vm = Vm::new(&config, &with_pvh().to_elf(), &[]).unwrap();
    assert_eq!(run(&mut vm), Stop::Exit(boot::START_INFO_MAGIC));
}

#[test]
fn the_pvh_entry_is_used_when_there_is_no_other() {
    let mut kernel = with_pvh();
    kernel.direct = None;
    let mut vm = Vm::new(&small(), &kernel.to_elf(), &[]).unwrap();
    assert_eq!(run(&mut vm), Stop::Exit(boot::START_INFO_MAGIC));
}

#[test]
fn the_direct_entry_is_preferred() {
    let mut vm = Vm::new(&small(), &with_pvh().to_elf(), &[]).unwrap();
    assert_eq!(run(&mut vm), Stop::Exit(64));
}
