//! Several machines, other threads, nothing left behind.

use std::time::{Duration, Instant};

use iced_x86::code_asm::{al, dx, edx};
use mayfly_vmm::{Error, Module, ModuleFile, Port, Stop, Vm};

use crate::common::{exit, kernel, run, small, soon, vm};

fn spinning() -> Vm {
    vm(|a| {
        let mut top = a.create_label();
        a.set_label(&mut top).unwrap();
        a.jmp(top).unwrap();
    })
}

/// Writes a byte and a newline to COM1, then ends with a code.
fn talking(byte: u8, code: u32) -> Vm {
    vm(|a| {
        a.mov(edx, 0x3f8).unwrap();
        for byte in [byte, b'\n'] {
            a.mov(al, i32::from(byte)).unwrap();
            a.out(dx, al).unwrap();
        }
        exit(a, code);
    })
}

#[test]
fn two_machines_run_on_two_threads() {
    let ends = std::thread::scope(|scope| {
        [(b'a', 1), (b'b', 2)]
            .map(|(byte, code)| {
                scope.spawn(move || {
                    (0..20)
                        .map(|_| {
                            let mut vm = talking(byte, code);
                            (run(&mut vm), vm.take_serial())
                        })
                        .collect::<Vec<_>>()
                })
            })
            .map(|thread| thread.join().unwrap())
    });
    assert_eq!(ends[0], vec![(Stop::Exit(1), b"a\n".to_vec()); 20]);
    assert_eq!(ends[1], vec![(Stop::Exit(2), b"b\n".to_vec()); 20]);
}

#[test]
fn two_machines_take_turns_on_one_thread() {
    let mut vms = [talking(b'a', 1), talking(b'b', 2)];
    for vm in &mut vms {
        assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
    }
    assert_eq!(vms[1].take_serial(), b"b\n");
    assert_eq!(vms[0].take_serial(), b"a\n");
    assert_eq!(run(&mut vms[0]), Stop::Exit(1));
    assert_eq!(run(&mut vms[1]), Stop::Exit(2));
}

#[test]
fn handles_may_be_shared_and_machines_sent() {
    fn shared<T: Clone + Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<mayfly_vmm::Sender>();
    shared::<mayfly_vmm::Interrupter>();
    sent::<Vm>();
}

#[test]
fn a_machine_may_move_to_another_thread() {
    let mut vm = talking(b'a', 1);
    assert_eq!(vm.run(soon()).unwrap(), Stop::Output);
    let end = std::thread::spawn(move || run(&mut vm)).join().unwrap();
    assert_eq!(end, Stop::Exit(1));
}

#[test]
fn a_deadline_holds_on_a_thread_that_ran_another_machine() {
    let mut ended = talking(b'a', 1);
    assert_eq!(run(&mut ended), Stop::Exit(1));
    let deadline = Instant::now() + Duration::from_millis(20);
    let stop = spinning().run(deadline).unwrap();
    assert!(matches!(stop, Stop::Deadline(_)));
}

#[test]
fn an_interrupter_stops_a_run_from_another_thread() {
    let mut vm = spinning();
    let interrupter = vm.interrupter();
    for _ in 0..200 {
        // Sometimes before, sometimes while, sometimes just as the run begins.
        let thread = std::thread::spawn({
            let interrupter = interrupter.clone();
            move || interrupter.interrupt()
        });
        assert_eq!(vm.run(soon()).unwrap(), Stop::Interrupted);
        thread.join().unwrap();
    }
}

#[test]
fn an_interruption_between_runs_stops_the_next() {
    let mut vm = talking(b'a', 1);
    vm.interrupter().interrupt();
    assert_eq!(vm.run(soon()).unwrap(), Stop::Interrupted);
    assert_eq!(run(&mut vm), Stop::Exit(1));
}

#[test]
fn handles_of_a_machine_that_is_gone_do_nothing() {
    let vm = spinning();
    let (sender, interrupter) = (vm.sender(), vm.interrupter());
    drop(vm);
    interrupter.interrupt();
    sender.wake();
    assert!(matches!(sender.send(Port::Control, b"x"), Err(Error::Gone)));
}

#[test]
fn nothing_is_left_of_machines_that_are_gone() {
    // In a process of its own: other tests open and close things all the time.
    const MARK: &str = "MAYFLY_VMM_LEAK_TEST";
    if std::env::var_os(MARK).is_none() {
        let this = std::env::current_exe().unwrap();
        let name = "isolation::nothing_is_left_of_machines_that_are_gone";
        let child = std::process::Command::new(this)
            .args(["--exact", name, "--test-threads", "1"])
            .env(MARK, "1")
            .status();
        assert!(child.unwrap().success());
        return;
    }
    let count = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let guest = |line: &&str| line.contains("mayfly") || line.contains("kvm");
        (descriptors, maps.lines().filter(guest).count())
    };
    let module = Module::Owned(ModuleFile::from_bytes(b"module").unwrap());
    let once = || {
        let kernel = kernel(|a| exit(a, 1));
        let mut vm = Vm::new(&small(), &kernel, std::slice::from_ref(&module)).unwrap();
        assert_eq!(run(&mut vm), Stop::Exit(1));
    };
    once();
    let before = count();
    (0..50).for_each(|_| once());
    assert_eq!(count(), before);
}
