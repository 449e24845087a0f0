//! COM1, interrupts and the virtio console, end to end.

use iced_x86::code_asm::{
    CodeAssembler, CodeLabel, al, dword_ptr, dx, eax, ecx, edx, r14, r15, rax, rsi,
};
use mayfly_machine::{device, layout};
use mayfly_vmm::{Port, Stop, Vm, meter};

use crate::common::{DATA, DATA_PHYSICAL, exit, poke, run, runs_ring_0_itself, small, soon, vm};
use crate::ring3::{Builder, Places};

const COM1: u32 = device::SERIAL_PORT as u32;

fn out(a: &mut CodeAssembler, port: u32, byte: u8) {
    a.mov(edx, port).unwrap();
    a.mov(al, i32::from(byte)).unwrap();
    a.out(dx, al).unwrap();
}

fn wrmsr(a: &mut CodeAssembler, msr: u32, value: u32) {
    a.mov(ecx, msr).unwrap();
    a.mov(eax, value).unwrap();
    a.xor(edx, edx).unwrap();
    a.wrmsr().unwrap();
}

/// x2APIC on, and IOAPIC line `gsi` to `vector` of processor 0.
fn route(a: &mut CodeAssembler, gsi: u32, entry: u32) {
    wrmsr(a, 0x1b, 0xfee0_0d00);
    wrmsr(a, 0x80f, 0x1ff);
    let select = layout::IOAPIC_BASE;
    for (register, value) in [(0x11 + 2 * gsi, 0), (0x10 + 2 * gsi, entry)] {
        poke(a, select, register);
        poke(a, select + 0x10, value);
    }
}

#[test]
fn a_line_on_com1_stops_the_run_and_a_byte_does_not() {
    let mut vm = vm(|a| {
        out(a, COM1, b'h');
        out(a, COM1, b'i');
        out(a, COM1, b'\n');
        out(a, COM1, b'!');
        exit(a, 1);
    });
    assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
    assert_eq!(vm.take_serial(), b"hi\n");
    assert_eq!(vm.run(soon()).unwrap(), Stop::Exit(1));
    assert_eq!(vm.take_serial(), b"!");
}

#[test]
fn a_string_instruction_writes_com1_byte_by_byte() {
    let mut vm = vm(|a| {
        a.mov(rsi, DATA).unwrap();
        a.mov(rax, u64::from_le_bytes(*b"mayflies")).unwrap();
        a.mov(iced_x86::code_asm::qword_ptr(rsi), rax).unwrap();
        a.mov(edx, COM1).unwrap();
        a.mov(ecx, 8).unwrap();
        a.rep().outsb().unwrap();
        exit(a, 1);
    });
    assert_eq!(run(&mut vm), Stop::Exit(1));
    assert_eq!(vm.take_serial(), b"mayflies");
}

/// A guest that waits in `HLT` for a byte on COM1 and ends with it.
fn waiting_for_com1(entry: u32) -> (Vm, Places) {
    let mut b = Builder::in_ring_0();
    route(&mut b.a, device::SERIAL_GSI, entry);
    out(&mut b.a, COM1 + 1, 1);
    b.a.sti().unwrap();
    let mut top = b.a.create_label();
    b.a.set_label(&mut top).unwrap();
    b.a.hlt().unwrap();
    b.a.jmp(top).unwrap();
    b.handler(0x40);
    b.place("byte");
    b.a.mov(edx, COM1).unwrap();
    b.a.xor(eax, eax).unwrap();
    b.a.in_(al, dx).unwrap();
    b.a.mov(edx, 0xf4).unwrap();
    b.a.out(dx, eax).unwrap();
    let (kernel, places) = b.build(|a| a.nop().unwrap());
    (Vm::new(&small(), &kernel, &[]).unwrap(), places)
}

#[test]
fn a_byte_on_com1_interrupts_the_guest() {
    let (mut vm, _) = waiting_for_com1(0x40);
    vm.send_serial(b"Q");
    assert_eq!(run(&mut vm), Stop::Exit(u32::from(b'Q')));
}

#[test]
fn a_guest_that_halts_while_it_is_metered_is_woken_and_counted() {
    for _ in 0..5 {
        let (mut vm, places) = waiting_for_com1(0x40);
        let entry = places.get("byte").filter(|_| runs_ring_0_itself());
        vm.meter(Some(meter::Config {
            boot: true,
            entries: entry.into_iter().copied().collect(),
            ..meter::Config::default()
        }))
        .unwrap();
        vm.send_serial(b"Q");
        assert_eq!(run(&mut vm), Stop::Exit(u32::from(b'Q')));
        // Two WRMSRs of 4, four stores of 2, OUT of 3, STI, HLT; handler of 5, the last
        // of which is not over where the processor runs ring 0 itself.
        let last = 1 - u64::from(runs_ring_0_itself());
        assert_eq!(
            vm.instructions(),
            Builder::SET_UP + 8 + 8 + 3 + 2 + 4 + last
        );
    }
}

/// A machine that takes bytes from COM1 by a level-triggered line, writes a line
/// after each and ends with the last.
fn taking_bytes(bytes: u32) -> Vm {
    let mut b = Builder::in_ring_0();
    route(&mut b.a, device::SERIAL_GSI, 1 << 15 | 0x40);
    out(&mut b.a, COM1 + 1, 1);
    b.a.xor(r14, r14).unwrap();
    b.a.sti().unwrap();
    let mut top = b.a.create_label();
    b.a.set_label(&mut top).unwrap();
    b.a.hlt().unwrap();
    b.a.jmp(top).unwrap();
    b.handler(0x40);
    let mut more: CodeLabel = b.a.create_label();
    b.a.mov(edx, COM1).unwrap();
    b.a.xor(eax, eax).unwrap();
    b.a.in_(al, dx).unwrap();
    b.a.inc(r14).unwrap();
    b.a.cmp(r14, bytes as i32).unwrap();
    b.a.jne(more).unwrap();
    // No line is level-triggered at the end.
    b.a.push(rax).unwrap();
    route(&mut b.a, device::SERIAL_GSI, 1 << 16);
    b.a.pop(rax).unwrap();
    b.a.mov(edx, 0xf4).unwrap();
    b.a.out(dx, eax).unwrap();
    b.a.set_label(&mut more).unwrap();
    b.a.push(rax).unwrap();
    out(&mut b.a, COM1, b'\n');
    wrmsr(&mut b.a, 0x80b, 0);
    b.a.pop(rax).unwrap();
    b.a.iretq().unwrap();
    let (kernel, _) = b.build(|a| a.nop().unwrap());
    Vm::new(&small(), &kernel, &[]).unwrap()
}

#[test]
fn a_level_triggered_line_is_reported_when_it_ends() {
    let mut vm = taking_bytes(2);
    vm.send_serial(b"1");
    assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
    vm.send_serial(b"2");
    assert_eq!(run(&mut vm), Stop::Exit(u32::from(b'2')));
    // Some KVMs report one end twice, which does no harm.
    assert_ne!(vm.stats().end_of_interrupts, 0);
}

#[test]
fn a_level_triggered_line_is_reported_in_copies_too() {
    // An interrupt may be pending beside the one that is served: only the last
    // of three bytes is sure to need the report.
    let mut first = taking_bytes(3);
    let end = |copy: &mut Vm, bytes: &[u8]| {
        for byte in bytes {
            copy.send_serial(&[*byte]);
            match byte {
                b'3' => assert_eq!(run(copy), Stop::Exit(u32::from(*byte))),
                _ => assert_eq!(copy.run(soon()).unwrap(), Stop::Output),
            }
        }
    };
    let before = first.snapshot().unwrap();
    first.send_serial(b"1");
    assert_eq!(first.run(soon()).unwrap(), Stop::Output);
    // In the midst of its interrupt.
    let within = first.snapshot().unwrap();
    end(&mut within.fork(&[]).unwrap(), b"23");
    // Back to a time when no line was level-triggered, and to one when one was.
    for (snapshot, bytes) in [(&before, &b"123"[..]), (&within, b"23")] {
        let mut copy = snapshot.fork_to_reset(&[]).unwrap();
        for _ in 0..2 {
            end(&mut copy, bytes);
            copy.reset(snapshot).unwrap();
        }
    }
}

/// Where the guest below has its queues, buffers and ring contents.
const RINGS: u64 = DATA_PHYSICAL + 0x2_0000;

fn register(a: &mut CodeAssembler, register: u64, value: u32) {
    poke(a, device::CONSOLE_MMIO + register, value);
}

/// Makes queue `index` ready with 8 entries, `page` pages into the rings.
fn queue(a: &mut CodeAssembler, index: u32, page: u64) {
    let at = RINGS as u32 + (page * 0x1000) as u32;
    register(a, 0x30, index);
    register(a, 0x38, 8);
    register(a, 0x80, at);
    register(a, 0x90, at + 0x400);
    register(a, 0xa0, at + 0x800);
    register(a, 0x44, 1);
}

/// Offers `bytes` at `to` in a queue as its `nth` chain, and rings the bell.
fn offer(a: &mut CodeAssembler, index: u32, page: u64, nth: u32, to: u32, bytes: u32, flags: u32) {
    let at = RINGS + page * 0x1000;
    let descriptor = at + 16 * u64::from(nth);
    for (word, value) in (0..).zip([to, 0, bytes, flags]) {
        poke(a, descriptor + 4 * word, value);
    }
    // Ring entries are 16 bits: two chains a word, and chain n is entry n.
    if nth.is_multiple_of(2) {
        poke(a, at + 0x404 + 2 * u64::from(nth), nth | (nth + 1) << 16);
    }
    poke(a, at + 0x400, (nth + 1) << 16);
    register(a, 0x50, index);
}

/// Brings the console up with queues 3 (control), 4 and 5 (port 1).
fn console(a: &mut CodeAssembler) {
    register(a, 0x70, 3);
    register(a, 0x24, 0);
    register(a, 0x20, 2);
    register(a, 0x24, 1);
    register(a, 0x20, 1);
    register(a, 0x70, 11);
    queue(a, 3, 0);
    queue(a, 4, 1);
    queue(a, 5, 2);
    register(a, 0x70, 15);
    // PORT_OPEN of port 1.
    let message = RINGS + 0x3000;
    poke(a, message, 1);
    poke(a, message + 4, 1 << 16 | 6);
    offer(a, 3, 0, 0, message as u32, 8, 0);
}

/// A guest that echoes 4 bytes of port 1, waiting for them in `HLT`.
fn echoing() -> Vm {
    let buffer = RINGS + 0x4000;
    let mut b = Builder::in_ring_0();
    route(&mut b.a, device::CONSOLE_GSI, 0x41);
    console(&mut b.a);
    offer(&mut b.a, 4, 1, 0, buffer as u32, 64, 2);
    b.a.sti().unwrap();
    let mut top = b.a.create_label();
    b.a.set_label(&mut top).unwrap();
    b.a.hlt().unwrap();
    b.a.jmp(top).unwrap();
    b.handler(0x41);
    let mut spurious = b.a.create_label();
    // The interrupt for the control message comes first: used ring still empty.
    b.a.mov(r15, layout::DIRECT_MAP_BASE + RINGS + 0x1800)
        .unwrap();
    b.a.mov(eax, dword_ptr(r15)).unwrap();
    b.a.shr(eax, 16).unwrap();
    b.a.jz(spurious).unwrap();
    offer(&mut b.a, 5, 2, 0, buffer as u32, 4, 0);
    exit(&mut b.a, 0x10);
    b.a.set_label(&mut spurious).unwrap();
    wrmsr(&mut b.a, 0x80b, 0);
    b.a.iretq().unwrap();
    let (kernel, _) = b.build(|a| a.nop().unwrap());
    Vm::new(&small(), &kernel, &[]).unwrap()
}

#[test]
fn bytes_go_through_a_virtio_port_and_back() {
    let mut vm = echoing();
    vm.send(Port::Control, b"ping").unwrap();
    assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
    assert_eq!(vm.take_output(Port::Control), b"ping");
    assert_eq!(vm.run(soon()).unwrap(), Stop::Exit(0x10));
}

#[test]
fn a_sender_wakes_a_guest_that_sleeps() {
    for _ in 0..20 {
        let mut vm = echoing();
        let sender = vm.sender();
        let thread = std::thread::spawn(move || sender.send(Port::Control, b"pong"));
        assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
        assert_eq!(vm.take_output(Port::Control), b"pong");
        thread.join().unwrap().unwrap();
    }
}

#[test]
fn what_the_guest_does_not_take_is_bounded() {
    let config = mayfly_vmm::Config {
        output_max: 100,
        ..small()
    };
    let kernel = crate::common::kernel(|a| exit(a, 1));
    let mut vm = Vm::new(&config, &kernel, &[]).unwrap();
    vm.send(Port::Trace, &[0; 60]).unwrap();
    let full = vm.send(Port::Trace, &[0; 60]).unwrap_err();
    let message = "the host sent 120 bytes that the guest did not take: 100 may wait";
    assert_eq!(full.to_string(), message);
}

#[test]
fn com1_output_that_nobody_takes_is_bounded() {
    let config = mayfly_vmm::Config {
        output_max: 100,
        ..small()
    };
    let kernel = crate::common::kernel(|a| {
        a.mov(edx, COM1).unwrap();
        a.mov(rsi, DATA).unwrap();
        a.mov(ecx, 101).unwrap();
        a.rep().outsb().unwrap();
        exit(a, 1);
    });
    let mut vm = Vm::new(&config, &kernel, &[]).unwrap();
    match run(&mut vm) {
        Stop::GuestError(error) => assert_eq!(error.device, "COM1"),
        stop => panic!("{stop}"),
    }
}
