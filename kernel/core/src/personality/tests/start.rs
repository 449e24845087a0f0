//! The state a program starts in, to the letter of its spec.

use mayfly_abi::Abi;
use mayfly_abi::veridian::StartInfo;

use crate::fake::bench::{Bench, request};
use crate::fake::image::ENTRY;
use crate::frame::TrapFrame;
use crate::kernel::{SpawnError, SpawnRequest};
use crate::object::capability::{Object, Rights};
use crate::object::ipc::EndpointKey;
use crate::object::memory::Touch;
use crate::object::process::ProcessKey;
use crate::object::stream::Stream;
use crate::personality::Arguments;
use crate::port::PAGE_SIZE;

/// A process that has just started, and its registers.
struct Started {
    bench: Bench,
    key: ProcessKey,
    frame: TrapFrame,
}

impl Started {
    fn new(abi: Abi, arguments: &[u8]) -> Self {
        let mut bench = Bench::new();
        let asked = SpawnRequest {
            arguments,
            ..request(abi.name())
        };
        let key = bench.kernel.spawn(&asked).unwrap();
        let frame = bench.registers(key);
        Self { bench, key, frame }
    }

    fn word(&mut self, address: u64) -> u64 {
        self.bench.peek_word(self.key, address)
    }

    fn words(&mut self, address: u64, count: u64) -> Vec<u64> {
        (0..count)
            .map(|index| self.word(address + index * 8))
            .collect()
    }

    fn bytes(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.bench.peek(self.key, address, length)
    }

    /// The string at an address, without its terminator.
    fn string(&mut self, address: u64) -> Vec<u8> {
        let bytes = (address..).map(|at| self.bytes(at, 1)[0]);
        bytes.take_while(|byte| *byte != 0).collect()
    }

    fn touch(&mut self, address: u64, touch: Touch) -> bool {
        let mut touched = false;
        self.bench.with_process(self.key, |kernel, running| {
            let space = &mut running.process.space;
            touched = space.touch(&mut kernel.machine, address, touch).is_ok();
        });
        touched
    }

    /// The stack is writable, not executable, from `bottom` to `top`, and nothing is around it.
    fn assert_stack(&mut self, bottom: u64, top: u64) {
        for address in [bottom, top - 1] {
            assert!(self.touch(address, Touch::Write), "{address:#x}");
            assert!(!self.touch(address, Touch::Execute), "{address:#x}");
        }
        for address in [bottom - 1, top] {
            assert!(!self.touch(address, Touch::Read), "{address:#x}");
        }
    }
}

const ARGUMENTS: &[u8] = b"/bin/echo\0hi\0\0patchwork world\0";
const STRINGS: [&[u8]; 4] = [b"/bin/echo", b"hi", b"", b"patchwork world"];

#[test]
fn arguments_are_counted_by_their_terminators() {
    for (bytes, offsets) in [
        (&b""[..], &[][..]),
        (b"\0", &[0]),
        (b"a\0", &[0]),
        (b"\0\0", &[0, 1]),
        (ARGUMENTS, &[0, 10, 13, 14]),
    ] {
        let arguments = Arguments::new(bytes);
        assert!(arguments.offsets().eq(offsets.iter().copied()), "{bytes:?}");
        assert_eq!(arguments.count(), offsets.len() as u64);
    }
}

#[test]
fn patchwork_has_argc_and_argv_in_registers_and_the_rest_zero() {
    let mut started = Started::new(Abi::Patchwork, ARGUMENTS);
    let frame = started.frame;
    let expected = TrapFrame {
        rip: ENTRY,
        rdi: 4,
        rsi: frame.rsi,
        rsp: frame.rsp,
        ..TrapFrame::default()
    };
    assert_eq!(frame, expected);
    let argv = started.words(frame.rsi, 5);
    for (address, string) in argv.iter().zip(STRINGS) {
        assert_eq!(started.string(*address), string);
    }
    assert_eq!(argv[4], 0);
}

#[test]
fn patchwork_has_its_strings_packed_at_the_very_top() {
    let mut started = Started::new(Abi::Patchwork, ARGUMENTS);
    let top = 0x7fff_ffff_f000;
    let strings = top - ARGUMENTS.len() as u64;
    assert_eq!(started.bytes(strings, ARGUMENTS.len()), ARGUMENTS);
    let frame = started.frame;
    assert_eq!(started.word(frame.rsi), strings);
    // The pointers lie just below the strings, but for their alignment.
    assert!(frame.rsi.is_multiple_of(8));
    let behind = frame.rsi + 5 * 8;
    assert!(behind <= strings && strings - behind < 8);
}

#[test]
fn the_patchwork_stack_pointer_is_aligned_below_argv() {
    for length in 0..33 {
        let arguments = [&vec![b'a'; length][..], b"\0"].concat();
        let frame = Started::new(Abi::Patchwork, &arguments).frame;
        assert!(frame.rsp.is_multiple_of(16), "{length}");
        assert!(
            frame.rsp + 8 <= frame.rsi && frame.rsi - frame.rsp <= 32,
            "{length}"
        );
    }
}

#[test]
fn patchwork_without_arguments_has_an_empty_argv() {
    let mut started = Started::new(Abi::Patchwork, b"");
    let frame = started.frame;
    assert_eq!((frame.rdi, started.word(frame.rsi)), (0, 0));
}

#[test]
fn the_patchwork_stack_has_100_pages_and_a_guard() {
    let top = 0x7fff_ffff_f000;
    let mut started = Started::new(Abi::Patchwork, ARGUMENTS);
    started.assert_stack(top - 409_600, top);
}

#[test]
fn xeneva_has_argc_and_argv_on_the_stack() {
    let mut started = Started::new(Abi::Xeneva, ARGUMENTS);
    let frame = started.frame;
    let expected = TrapFrame {
        rip: ENTRY,
        rsp: frame.rsp,
        ..TrapFrame::default()
    };
    assert_eq!(frame, expected);
    assert!(frame.rsp.is_multiple_of(8));
    assert_eq!(started.words(frame.rsp, 2), [4, 0x4000]);
    let argv = started.words(0x4000, 5);
    for (address, string) in argv.iter().zip(STRINGS) {
        assert_eq!(started.string(*address), string);
        assert!(*address > frame.rsp + 8);
    }
    assert_eq!(argv[4], 0);
}

#[test]
fn xeneva_without_arguments_has_a_null_argv() {
    let mut started = Started::new(Abi::Xeneva, b"");
    assert_eq!(started.frame.rsp, 0x7000_0007_fff0);
    assert_eq!(started.words(0x7000_0007_fff0, 2), [0, 0]);
    assert!(!started.touch(0x4000, Touch::Read));
}

#[test]
fn the_xeneva_stack_has_512_kib() {
    let mut started = Started::new(Abi::Xeneva, ARGUMENTS);
    started.assert_stack(0x7000_0000_0000, 0x7000_0008_0000);
    started.assert_stack(0x4000, 0x4000 + PAGE_SIZE);
}

#[test]
fn xeneva_has_room_for_511_arguments() {
    let mut started = Started::new(Abi::Xeneva, &[0; 511]);
    let rsp = started.frame.rsp;
    assert_eq!(started.word(rsp), 511);
    assert_eq!(started.word(0x4000 + 511 * 8), 0);
    let mut bench = Bench::new();
    let asked = SpawnRequest {
        arguments: &[0; 512],
        ..request("xeneva")
    };
    assert_eq!(bench.kernel.spawn(&asked), Err(SpawnError::BadArguments));
    assert_eq!(bench.usage(), (0, 0, 0));
}

#[test]
fn veridian_has_a_sysv_frame_at_its_stack_pointer() {
    let mut started = Started::new(Abi::Veridian, ARGUMENTS);
    let frame = started.frame;
    let expected = TrapFrame {
        rip: ENTRY,
        rsp: frame.rsp,
        rdi: frame.rdi,
        ..TrapFrame::default()
    };
    assert_eq!(frame, expected);
    assert!(frame.rsp.is_multiple_of(16));
    let words = started.words(frame.rsp, 9);
    assert_eq!(words[0], 4);
    for (address, string) in words[1..5].iter().zip(STRINGS) {
        assert_eq!(started.string(*address), string);
    }
    // argv's end, no environment, AT_NULL and its value.
    assert_eq!(words[5..], [0; 4]);
    assert!(frame.rdi >= frame.rsp + 9 * 8);
}

#[test]
fn veridian_has_a_start_info() {
    let mut started = Started::new(Abi::Veridian, ARGUMENTS);
    let frame = started.frame;
    assert!(frame.rdi.is_multiple_of(8));
    let bytes = started.bytes(frame.rdi, 128);
    let info = StartInfo::from_bytes(bytes.first_chunk().unwrap());
    let expected = StartInfo {
        magic: 0x4e41_4944_4952_4556,
        version: 1,
        size: 128,
        process_id: 1,
        parent_id: 0,
        thread_id: 1,
        argc: 4,
        argv: frame.rsp + 8,
        granted_count: 1,
        granted: info.granted,
        process_token: info.process_token,
        endpoint_token: info.endpoint_token,
        endpoint_id: info.endpoint_id,
        space_token: info.space_token,
        page_size: 4096,
        flags: 0,
        reserved: 0,
    };
    assert_eq!(info, expected);
}

#[test]
fn veridian_tokens_name_the_process_its_space_and_the_console() {
    let mut started = Started::new(Abi::Veridian, ARGUMENTS);
    let bytes = started.bytes(started.frame.rdi, 128);
    let info = StartInfo::from_bytes(bytes.first_chunk().unwrap());
    let console = started.word(info.granted);
    let capabilities = &started.bench.process(started.key).capabilities;
    let find = |token| {
        let capability = capabilities.find(token).unwrap();
        (capability.object.clone(), capability.rights)
    };
    let both = |one: Rights, other| one.and(other);
    let process = Object::Process {
        key: started.key,
        id: 1,
    };
    let space = Object::CapSpace {
        owner: 1,
        boot: true,
    };
    assert_eq!(
        find(info.process_token),
        (process, both(Rights::READ, Rights::MODIFY))
    );
    assert_eq!(find(info.space_token), (space, Rights::CREATE));
    let io = both(Rights::READ, Rights::WRITE);
    let pass = both(Rights::GRANT, Rights::REVOKE);
    let key = EndpointKey::from_number(info.endpoint_id).unwrap();
    assert_eq!(
        find(info.endpoint_token),
        (
            Object::IpcEndpoint { key },
            both(both(io, pass), Rights::EXECUTE)
        )
    );
    assert_eq!(
        find(console),
        (Object::Device(Stream::Output), both(io, pass))
    );
    for token in [
        info.process_token,
        info.space_token,
        info.endpoint_token,
        console,
    ] {
        assert!(token != 0 && token >> 63 == 0);
    }
}

#[test]
fn the_veridian_stack_is_aligned_for_any_arguments() {
    for length in 0..33 {
        let arguments = [&vec![b'a'; length][..], b"\0"].concat();
        let mut started = Started::new(Abi::Veridian, &arguments);
        let frame = started.frame;
        assert!(
            frame.rsp.is_multiple_of(16) && frame.rdi.is_multiple_of(8),
            "{length}"
        );
        let argument = started.word(frame.rsp + 8);
        assert_eq!(started.string(argument).len(), length);
    }
}

#[test]
fn the_veridian_stack_has_1_mib() {
    let mut started = Started::new(Abi::Veridian, ARGUMENTS);
    started.assert_stack(0x7fff_ffef_0000, 0x7fff_ffff_0000);
}
