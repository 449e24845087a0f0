//! Small tools on the files of PatchworkOS (`specs/patchwork.md` §14).
//!
//! Purpose: what the tools of `user/patchwork/tools.rs` print and end with, as
//! those of PatchworkOS do. Neighbours: `files.rs` and `paths.rs` make the same
//! calls one by one, `input.rs` has standard input.

use mayfly::prelude::*;

/// Runs a tool that is given no input: its status and what it printed.
fn tool(vm: &Vm, arguments: &[&str]) -> Result<(i64, String)> {
    let program = vm.spawn("patchwork-tools").args(arguments.iter().copied());
    let out = program.run()?;
    Ok((out.status.code(), out.stdout_text()))
}

/// Runs a tool that is to succeed.
fn good(vm: &Vm, arguments: &[&str]) -> Result<String> {
    let (status, printed) = tool(vm, arguments)?;
    assert_eq!(status, 0, "{arguments:?}: {printed}");
    Ok(printed)
}

/// Runs a tool that is to fail; what it says.
fn bad(vm: &Vm, arguments: &[&str]) -> Result<String> {
    let (status, printed) = tool(vm, arguments)?;
    assert_eq!(status, -1, "{arguments:?}: {printed}");
    Ok(printed)
}

/// A machine with files.
fn with_files() -> Result<Vm> {
    VmOptions::default()
        .file("/tmp/poem", "roses are red\nviolets are blue\nand so on")
        .file("/tmp/bytes", (0..=17).collect::<Vec<u8>>())
        .file("/tmp/deep/file", "x")
        .boot()
}

#[test]
fn cat_writes_files_and_says_what_is_missing() -> Result<()> {
    let vm = with_files()?;
    let poem = "roses are red\nviolets are blue\nand so on";
    assert_eq!(good(&vm, &["cat", "/tmp/poem"])?, poem);
    assert_eq!(
        good(&vm, &["cat", "/tmp/deep/file", "/tmp/poem"])?,
        format!("x{poem}")
    );
    let hexadecimal = "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n10 11 \n";
    assert_eq!(good(&vm, &["cat", "-hex", "/tmp/bytes"])?, hexadecimal);
    let said = "cat: /tmp/none: no such file or directory\n";
    assert_eq!(bad(&vm, &["cat", "/tmp/none"])?, said);
    assert_eq!(bad(&vm, &["cat", "/tmp"])?, "cat: /tmp: is a directory\n");
    Ok(())
}

#[mayfly::test]
fn cat_without_a_file_is_a_pipe(vm: Vm) -> Result<()> {
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let program = vm.spawn("patchwork-tools").arg("cat").trace(false);
    assert!(program.stdin(bytes.clone()).run()?.stdout == bytes);
    Ok(())
}

#[mayfly::test]
fn touch_makes_a_file_if_its_path_says_so(vm: Vm) -> Result<()> {
    let said = "touch: /tmp/new: no such file or directory\n";
    assert_eq!(bad(&vm, &["touch", "/tmp/new"])?, said);
    good(&vm, &["touch", "/tmp/new:create"])?;
    good(&vm, &["touch", "/tmp/new"])?;
    let told = good(&vm, &["stat", "/tmp/new"])?;
    assert!(told.starts_with("name      new\nnumber    "), "{told}");
    assert!(
        told.contains("\ntype      file\nsize      0\nblocks    0\nlinks     1\n"),
        "{told}"
    );
    Ok(())
}

#[test]
fn names_come_and_go() -> Result<()> {
    let vm = with_files()?;
    good(&vm, &["link", "/tmp/poem", "/tmp/second"])?;
    assert!(good(&vm, &["stat", "/tmp/second"])?.contains("links     2"));
    assert_eq!(
        bad(&vm, &["link", "/tmp/poem", "/tmp/second"])?,
        "link: /tmp/poem: file exists\n"
    );
    good(&vm, &["mv", "/tmp/poem", "/tmp/deep/third"])?;
    bad(&vm, &["stat", "/tmp/poem"])?;
    good(&vm, &["rm", "/tmp/second"])?;
    assert!(good(&vm, &["cat", "/tmp/deep/third"])?.starts_with("roses"));
    assert_eq!(
        bad(&vm, &["rm", "/tmp/deep"])?,
        "rm: /tmp/deep: is a directory\n"
    );
    assert_eq!(
        bad(&vm, &["rm", "/tmp/deep:directory"])?,
        "rm: /tmp/deep:directory: directory not empty\n"
    );
    good(
        &vm,
        &[
            "rm",
            "/tmp/deep/third",
            "/tmp/deep/file",
            "/tmp/deep:directory",
        ],
    )?;
    assert_eq!(good(&vm, &["ls", "/tmp"])?, "bytes\n");
    Ok(())
}

#[test]
fn stat_tells_of_a_directory() -> Result<()> {
    let vm = with_files()?;
    let told = good(&vm, &["stat", "/tmp/deep"])?;
    assert!(told.contains("type      directory"), "{told}");
    assert_eq!(
        bad(&vm, &["stat", "/tmp/deep:d"])?,
        "stat: /tmp/deep:d: EBADFLAG\n"
    );
    Ok(())
}

#[mayfly::test]
fn grep_shows_lines_with_the_word_in_red(vm: Vm) -> Result<()> {
    let grep = |word: &str, input: &str| {
        let program = vm.spawn("patchwork-tools").args(["grep", word]);
        let out = program.stdin(input).run()?;
        Ok::<_, Error>((out.status.code(), out.stdout_text()))
    };
    let red = |word: &str| format!("\x1b[31m{word}\x1b[0m");
    let input = "one two\nthree\ntwo two";
    let expected = format!("one {0}\n{0} {0}\n", red("two"));
    assert_eq!(grep("two", input)?, (0, expected));
    assert_eq!(grep("four", input)?, (1, String::new()));
    assert_eq!(grep("x", "")?, (1, String::new()));
    // Longer than any buffer, and the word at its end.
    let long = format!("{}\n{}end\n", "a".repeat(5000), "b".repeat(3000));
    let (status, printed) = grep("end", &long)?;
    assert_eq!((status, printed.len()), (0, 3000 + red("end").len() + 1));
    Ok(())
}

#[mayfly::test]
fn ls_lists_in_columns(vm: Vm) -> Result<()> {
    for name in ["one", "two", "three", "four"] {
        good(&vm, &["touch", &format!("/tmp/{name}:create")])?;
    }
    good(&vm, &["touch", "/tmp/dir:create:directory"])?;
    let printed = good(&vm, &["ls", "/tmp"])?;
    assert_eq!(printed, "one    two    three  four   dir/\n");
    assert!(good(&vm, &["ls", "/bin"])?.contains("patchwork-tools"));
    assert!(good(&vm, &["ls"])?.contains("tmp/"));
    assert!(good(&vm, &["ls", "/tmp/dir"])?.is_empty());
    assert_eq!(
        bad(&vm, &["ls", "/tmp/one"])?,
        "ls: /tmp/one: not a directory\n"
    );
    Ok(())
}

#[mayfly::test]
fn ls_asks_a_terminal_how_wide_it_is(vm: Vm) -> Result<()> {
    for name in ["one", "two", "three", "four"] {
        good(&vm, &["touch", &format!("/tmp/{name}:create")])?;
    }
    let program = vm.spawn("patchwork-tools").args(["ls", "/tmp"]);
    let program = program.stdin_piped().start()?;
    let asked = b"\x1b[999C\x1b[6n";
    assert_eq!(program.wait_for_stdout(|told| !told.is_empty())?, asked);
    // The reply may come in pieces.
    program.input(b"\x1b[24")?;
    vm.ping()?;
    program.input(b";15R")?;
    let out = program.wait()?;
    let listed = "\rone    two\nthree  four\n";
    assert_eq!(&out.stdout[asked.len()..], listed.as_bytes());
    Ok(())
}

#[test]
fn a_tool_is_known_by_its_own_name_too() -> Result<()> {
    let tools = mayfly::image::program("patchwork-tools").expect("bundled");
    let vm = VmOptions::default()
        .file("/bin/cat", tools.bytes)
        .file("/tmp/a", "text")
        .boot()?;
    let out = vm.spawn("/bin/cat").arg("/tmp/a").run()?;
    assert_eq!(out.stdout_text(), "text");
    let out = vm.spawn("patchwork-spawn");
    let out = out.args(["collect", "0", "/bin/cat", "/tmp/a"]).run()?;
    assert_eq!(out.stdout_text(), "text");
    let said = bad(&vm, &["none"])?;
    assert!(said.starts_with("tools: cat, grep"), "{said}");
    Ok(())
}

#[mayfly::test]
fn children_share_the_input(vm: Vm) -> Result<()> {
    let program = vm.spawn("patchwork-spawn");
    let program = program.args(["collect", "0", "/bin/patchwork-tools", "cat"]);
    let out = program.stdin("for the child").run()?;
    assert_eq!(out.stdout_text(), "for the child");
    Ok(())
}
