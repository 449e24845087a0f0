//! A kernel over the fake machine, with programs that tests direct.
//!
//! When a [`Bench`] goes, it kills what is left and checks that every frame,
//! thread, process and capability went with it, so every test is a test for leaks.

use mayfly_abi::Abi;
use mayfly_abi::convention::Place;

use super::image::{Elf, Pe, bundle};
use super::{FakeMachine, FakePort, Step};
use crate::event::Event;
use crate::frame::TrapFrame;
use crate::kernel::{Input, Kernel, Running, SpawnRequest};
use crate::object::process::{Cause, Process, ProcessKey};
use crate::port::{Machine, Reason};
use crate::trace::set_register;

/// A kernel, its fakes, and one program for each interface, named as that.
pub struct Bench {
    /// The kernel.
    pub kernel: Kernel<FakePort>,
}

/// Frames of the machine.
pub const FRAMES: u64 = 4096;

impl Bench {
    /// A kernel with programs `xeneva`, `patchwork`, `veridian` and `probe`.
    pub fn new() -> Self {
        Self::with_files(&[
            ("xeneva", Pe::program().build()),
            ("patchwork", Elf::program(Some(Abi::Patchwork)).build()),
            ("veridian", Elf::program(Some(Abi::Veridian)).build()),
            ("probe", Elf::program(None).build()),
        ])
    }

    /// A kernel with other programs.
    pub fn with_files(files: &[(&str, Vec<u8>)]) -> Self {
        let (mut machine, host) = FakeMachine::new(FRAMES);
        let module = bundle(files);
        let first = machine.add_file(module);
        let mut kernel = Kernel::new(machine, host);
        kernel.bundles.add(module, first).unwrap();
        Self { kernel }
    }

    /// Starts the program of an interface with `argv[0]` only.
    pub fn spawn(&mut self, abi: Abi) -> ProcessKey {
        let request = request(abi.name());
        self.kernel.spawn(&request).unwrap()
    }

    /// Says what ring 3 of a process does next.
    pub fn script(&mut self, process: ProcessKey, steps: impl IntoIterator<Item = Step>) {
        let tables = self.process(process).space.tables();
        let root = FakeMachine::root(tables);
        let script = self.kernel.machine.scripts.entry(root).or_default();
        script.extend(steps);
    }

    /// One turn of the kernel loop; false when there was nobody to run.
    pub fn turn(&mut self) -> bool {
        let running = self.kernel.dispatch();
        running.map(|running| self.kernel.run(running)).is_some()
    }

    /// Makes a system call that returns; says what. The process is the one whose turn it is.
    pub fn call(&mut self, process: ProcessKey, number: u64, arguments: &[u64]) -> u64 {
        self.begin(process, number, arguments);
        self.returned().expect("the call returns")
    }

    /// Makes a system call and takes one turn.
    pub fn begin(&mut self, process: ProcessKey, number: u64, arguments: &[u64]) {
        let abi = self.process(process).abi;
        self.script(process, [call(abi, number, arguments), pause()]);
        self.kernel.machine.seen.clear();
        assert!(self.turn(), "nobody runs");
    }

    /// What the last call has returned, if it has.
    pub fn returned(&self) -> Option<u64> {
        Some(self.kernel.machine.seen.last()?.rax)
    }

    /// Lets time pass, and the timer fire when it is due.
    pub fn advance(&mut self, nanoseconds: u64) {
        let machine = &mut self.kernel.machine;
        machine.now += nanoseconds;
        if machine
            .armed
            .is_some_and(|deadline| deadline <= machine.now)
        {
            machine.armed = None;
            self.kernel.timer_fired();
        }
    }

    /// A process that is not running.
    pub fn process(&self, key: ProcessKey) -> &Process<FakePort> {
        self.kernel.process(key).expect("the process exists")
    }

    /// Writes into a process's memory.
    pub fn poke(&mut self, process: ProcessKey, address: u64, bytes: &[u8]) {
        self.with_process(process, |kernel, running| {
            let space = &mut running.process.space;
            space.poke(&mut kernel.machine, address, bytes).unwrap();
        });
    }

    /// Reads a process's memory.
    pub fn peek(&mut self, process: ProcessKey, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.with_process(process, |kernel, running| {
            let space = &mut running.process.space;
            space
                .peek(&mut kernel.machine, address, &mut bytes)
                .unwrap();
        });
        bytes
    }

    /// Reads one word of a process's memory.
    pub fn peek_word(&mut self, process: ProcessKey, address: u64) -> u64 {
        let bytes = self.peek(process, address, 8);
        u64::from_le_bytes(*bytes.first_chunk().unwrap())
    }

    /// Registers of the process whose turn it is; it does not get further.
    pub fn registers(&mut self, process: ProcessKey) -> TrapFrame {
        self.script(process, [pause()]);
        assert!(self.turn(), "nobody runs");
        *self.kernel.machine.seen.last().unwrap()
    }

    /// Works on the process whose turn it is while it is loaded, as in a call.
    pub fn with_process(
        &mut self,
        process: ProcessKey,
        work: impl FnOnce(&mut Kernel<FakePort>, &mut Running<FakePort>),
    ) {
        let mut running = self.kernel.dispatch().expect("somebody runs");
        assert_eq!(running.process.key, process, "it is the turn of another");
        work(&mut self.kernel, &mut running);
        let root = FakeMachine::root(running.process.space.tables());
        let script = self.kernel.machine.scripts.entry(root).or_default();
        script.push_front(interrupt());
        self.kernel.run(running);
    }

    /// All that a process wrote to a stream.
    pub fn output(&self, number: u64, stream: u8) -> Vec<u8> {
        let outputs = self.kernel.host.outputs.iter();
        let of_stream = outputs.filter(|output| (output.0, output.1) == (number, stream));
        of_stream.flat_map(|output| output.2.clone()).collect()
    }

    /// How processes ended, in order: number, cause, status.
    pub fn ends(&self) -> Vec<(u64, Cause, i64)> {
        let events = self.kernel.host.events.iter();
        let ends = events.filter_map(|event| match event {
            Event::Exited {
                number,
                cause,
                status,
                ..
            } => Some((*number, *cause, *status)),
            Event::ProbeReturned { .. } | Event::Uncalled => None,
        });
        ends.collect()
    }

    /// Frames, threads and processes in use.
    pub fn usage(&self) -> (u64, usize, usize) {
        let kernel = &self.kernel;
        let frames = kernel.machine.frames_used();
        (frames, kernel.thread_count(), kernel.process_count())
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut number = 0;
        while self.kernel.process_count() > 0 {
            number += 1;
            assert!(number < 1 << 20, "a process is left that has no number");
            if let Some(key) = self.kernel.process_by_number(number) {
                self.kernel.kill(key);
            }
        }
        assert_eq!(
            self.usage(),
            (0, 0, 0),
            "frames, threads and processes left"
        );
        assert_eq!(self.kernel.capability_count(), 0, "capabilities left");
    }
}

/// The plain request for a program: `argv[0]` only, nothing watched.
pub fn request(program: &str) -> SpawnRequest<'_> {
    SpawnRequest {
        abi: None,
        program,
        arguments: b"program\0",
        traced: false,
        frames_max: 0,
        input: Input::Empty,
    }
}

/// Ring 3 makes a system call with arguments that registers carry.
pub fn call(abi: Abi, number: u64, arguments: &[u64]) -> Step {
    let arguments = arguments.to_vec();
    Box::new(move |_, frame| {
        let convention = abi.convention();
        set_register(frame, convention.number, number);
        for (index, word) in arguments.iter().enumerate() {
            match convention.place(index, arguments.len()) {
                Place::Register(name) => set_register(frame, name, *word),
                place => panic!("a test puts {place:?} in place itself"),
            }
        }
        Reason::Syscall
    })
}

/// Ring 3 raises an exception.
pub fn exception(vector: u64) -> Step {
    Box::new(move |_, frame| {
        (frame.vector, frame.error) = (vector, 0);
        Reason::Fault
    })
}

/// Ring 3 faults on a page, with the processor's error code.
pub fn page_fault(address: u64, error: u64) -> Step {
    Box::new(move |machine, frame| {
        machine.fault_address = address;
        (frame.vector, frame.error) = (14, error);
        Reason::Fault
    })
}

/// An interrupt comes while ring 3 runs.
pub fn interrupt() -> Step {
    Box::new(|_, _| Reason::Interrupt)
}

/// An interrupt comes, and the registers at that time are noted.
pub fn pause() -> Step {
    Box::new(|machine, frame| {
        machine.seen.push(*frame);
        Reason::Interrupt
    })
}
