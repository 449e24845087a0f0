//! Who starts whom: all six ways, with arguments and standard streams.
//!
//! Purpose: a process of each interface starts programs of the other two, which
//! read and write its standard streams. Neighbours: `../xeneva/crossing.rs` has
//! XenevaOS's side in detail.

use mayfly::image;
use mayfly::prelude::*;

const OTHERS: [(Abi, [Abi; 2]); 3] = [
    (Abi::Xeneva, [Abi::Patchwork, Abi::Veridian]),
    (Abi::Patchwork, [Abi::Xeneva, Abi::Veridian]),
    (Abi::Veridian, [Abi::Xeneva, Abi::Patchwork]),
];

#[mayfly::test(covers = "xeneva ProcessLoadExec, patchwork SPAWN, veridian PROCESS_CREATE")]
fn each_starts_the_other_two_with_arguments(vm: Vm) -> Result<()> {
    for (maker, others) in OTHERS {
        for child in others {
            let name = format!("{}-args", child.name());
            let said = match maker {
                Abi::Xeneva => {
                    let path = format!("/bin/{name}.exe");
                    let maker = vm.spawn("xeneva-processes");
                    let out = maker.args(["run", &path, "one", "two words"]).run()?;
                    out.stdout_text()
                        .replace(&path, &name)
                        .replace("over\n", "")
                }
                Abi::Patchwork => {
                    let path = format!("/bin/{name}");
                    let maker = vm.spawn("patchwork-spawn");
                    let words = ["collect", "0", &path, "one", "two words"];
                    maker.args(words).run()?.stdout_text().replace(&path, &name)
                }
                Abi::Veridian => of_veridian(&vm, &name)?,
            };
            assert_eq!(
                said,
                format!("{name}\none\ntwo words\n"),
                "{maker:?} {child:?}"
            );
        }
    }
    Ok(())
}

/// What a program says that a VeridianOS process makes of an image in its memory.
fn of_veridian(vm: &Vm, name: &str) -> Result<String> {
    let probe = vm.probe(Abi::Veridian)?;
    let image = needed(image::program(name).expect("bundled").bytes);
    // The strings lie in the buffer of the first argument, behind the image.
    let words = [name, "one", "two words"];
    let mut strings = image.to_vec();
    let mut pointers = Vec::new();
    for word in words {
        pointers.extend((BUFFER + strings.len() as u64).to_le_bytes());
        strings.extend(word.bytes().chain([0]));
    }
    let arguments = args![input(strings), image.len(), input(pointers), 3, 0, 0];
    let made = probe.call(veridian::PROCESS_CREATE, arguments)?;
    let child = made.result.expect("a child");
    probe.call(veridian::PROCESS_START, args![child])?;
    let ended = probe.call(veridian::PROCESS_WAIT, args![child, u64::MAX, out(48)])?;
    assert_eq!(ended.result, Ok(0));
    Ok(String::from_utf8_lossy(&probe.stdout_so_far()).into_owned())
}

#[mayfly::test(covers = "veridian PROCESS_CREATE, veridian PROCESS_START, veridian PROCESS_WAIT")]
fn veridian_makes_the_others_of_images(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for program in ["xeneva-unknown", "patchwork-unknown"] {
        let before = probe.stdout_so_far().len();
        let image = needed(image::program(program).expect("bundled").bytes);
        let arguments = args![input(image), image.len(), 0, 0, 0, 0];
        let made = probe.call(veridian::PROCESS_CREATE, arguments)?;
        let child = made.result.expect("a child");
        probe.call(veridian::PROCESS_START, args![child])?;
        let arguments = args![child, u64::MAX, out(48)];
        let ended = probe.call(veridian::PROCESS_WAIT, arguments)?;
        assert_eq!(ended.result, Ok(0));
        assert_eq!(
            &probe.stdout_so_far()[before..],
            b"unknown ok\n",
            "{program}"
        );
    }
    Ok(())
}

/// An executable without what follows its segments: symbols, for the most part.
pub(crate) fn needed(file: &[u8]) -> &[u8] {
    if !file.starts_with(b"\x7fELF") {
        return file;
    }
    let word = |at: usize| {
        let word = u64::from_le_bytes(*file[at..].first_chunk().expect("a word"));
        usize::try_from(word).expect("a file fits memory")
    };
    let headers = usize::from(file[56]);
    let ends = (0..headers).map(|index| {
        let header = word(32) + index * 56;
        word(header + 8) + word(header + 32)
    });
    &file[..ends.max().expect("a segment")]
}

#[mayfly::test(covers = "xeneva SetFileToProcess, patchwork SPAWN, veridian READ, veridian WRITE")]
fn streams_go_through_children(vm: Vm) -> Result<()> {
    // What is to be copied lies in a file, which a maker gives for standard input.
    let xeneva = vm.probe(Abi::Xeneva)?;
    let open = |path: &str, mode: u64| {
        let call = xeneva.call(xeneva::OpenFile, args![text(path), mode])?;
        Ok::<_, Error>(call.result.expect("open"))
    };
    let source = open("/tmp/from", 4)?;
    let words: String = (0..300).map(|n| format!("line {n}\n")).collect();
    let write = args![source, input(words.as_bytes()), words.len()];
    assert_eq!(
        xeneva.call(xeneva::WriteFile, write)?.value,
        words.len() as u64
    );
    for child in ["xeneva-copy", "veridian-copy", "patchwork-spawn"] {
        let (from, to) = (open("/tmp/from", 2)?, open(&format!("/tmp/{child}"), 6)?);
        let slot = xeneva
            .call(xeneva::CreateProcess, args![0, text("copy")])?
            .value;
        for (fd, dest) in [(from, 0), (to, 1), (1, 2)] {
            let given = xeneva.call(xeneva::SetFileToProcess, args![fd, dest, slot])?;
            assert_eq!(given.result, Ok(0));
        }
        let mut line = format!("/bin/{child}.exe").into_bytes();
        line.push(0);
        let copy = BUFFER + line.len() as u64;
        line.extend(b"copy\0");
        let load = args![slot, input(line), 1, input(copy.to_le_bytes())];
        assert_eq!(
            xeneva.call(xeneva::ProcessLoadExec, load)?.result,
            Ok(0),
            "{child}"
        );
        xeneva.call(xeneva::ProcessWaitForTermination, args![slot])?;
        let copied = open(&format!("/tmp/{child}"), 2)?;
        let read = xeneva.call(xeneva::ReadFile, args![copied, out(8192), 8192])?;
        let length = usize::try_from(read.value).expect("a length");
        assert_eq!(read.buffers[0][..length], *words.as_bytes(), "{child}");
        for fd in [from, to, copied] {
            xeneva.call(xeneva::CloseFile, args![fd])?;
        }
    }
    Ok(())
}

/// Programs that copy their input to their output.
const COPIES: [&str; 3] = ["xeneva-copy", "veridian-copy", "patchwork-spawn"];

#[mayfly::test(covers = "patchwork SPAWN, xeneva ReadFile, veridian READ")]
fn patchwork_gives_its_children_pipes(vm: Vm) -> Result<()> {
    let words: String = (0..300).map(|n| format!("line {n}\n")).collect();
    for child in COPIES {
        let program = format!("/bin/{child}");
        let maker = vm.spawn("patchwork-spawn");
        let out = maker.args(["filled", &words, &program, "copy"]).run()?;
        assert_eq!(out.stdout_text(), words, "{child}");
        let [child] = out.children() else {
            panic!("{:?}", out.children());
        };
        // It came through the maker, and nobody else wrote to its output.
        let written = out.all_calls().iter().filter(|call| {
            call.name() == "WRITE" && Some(call.pid()) != Some(child.pid) && call.result.is_ok()
        });
        assert!(written.count() > 0);
    }
    Ok(())
}

#[mayfly::test(covers = "veridian PROCESS_CREATE, veridian READ, xeneva ReadFile, patchwork READ")]
fn veridian_gives_its_children_its_console(vm: Vm) -> Result<()> {
    let words: String = (0..300).map(|n| format!("line {n}\n")).collect();
    for child in COPIES {
        let image = needed(image::program(child).expect("bundled").bytes);
        let length = image.len() as u64;
        let input = [&length.to_le_bytes()[..], image, words.as_bytes()].concat();
        let argument = match child {
            // Reading does not wait there: it is told how much is to come.
            "xeneva-copy" => words.len().to_string(),
            _ => "copy".into(),
        };
        let maker = vm.spawn("veridian-maker").arg(argument);
        let out = maker.stdin(input).run()?;
        assert_eq!(out.stdout_text(), format!("made\n{words}"), "{child}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN, xeneva ProcessLoadExec")]
fn a_chain_of_makers_is_one_program(vm: Vm) -> Result<()> {
    // PatchworkOS starts XenevaOS, which starts PatchworkOS, which starts VeridianOS.
    let words = [
        "collect",
        "0",
        "/bin/xeneva-processes",
        "run",
        "/bin/patchwork-spawn.exe",
        "collect",
        "0",
        "/bin/veridian-args",
        "deep",
    ];
    let out = vm.spawn("patchwork-spawn").args(words).run()?;
    // SeTextOut goes to the console at once, the rest through pipes.
    let said = out.stdout_text();
    let lines: Vec<&str> = said.lines().filter(|line| *line != "over").collect();
    assert_eq!(lines, ["/bin/veridian-args", "deep"]);
    assert!(said.contains("over\n"));
    let abis: Vec<_> = out.children().iter().map(|child| child.abi).collect();
    let wanted = [Abi::Xeneva, Abi::Patchwork, Abi::Veridian].map(Some);
    assert_eq!(abis, wanted);
    Ok(())
}
