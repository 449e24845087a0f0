//! What `run`, `call` and `trace` tell of kernel instructions.
//!
//! Purpose: the same call costs the same whichever command shows it, and where
//! its instructions went adds up; and it is the same on hosts of either kind.
//! Neighbours: `bench/main.rs` has `mayfly bench`, `tcg.rs` checks the counter
//! itself.

use std::fs;
use std::process::Command;

use mayfly::prelude::*;

/// What a command says on its standard output and error.
fn tool(arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(arguments)
        // Where instructions can be counted.
        .env("MAYFLY_BACKEND", "kvm")
        .output()
        .expect("the tool is built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    (text(&output.stdout), errors)
}

/// Kernel instructions of the call that does nothing.
fn null() -> u64 {
    let (lines, _) = tool(&["--message-format", "json", "call", "patchwork", "GETPID"]);
    let called = lines.lines().find(|line| line.contains("\"call\""));
    let called: serde_json::Value =
        serde_json::from_str(called.expect("a call")).expect("an object");
    called["kernel_instr"].as_u64().expect("a count")
}

#[test]
fn folded_stacks_have_every_instruction_of_the_calls() {
    let (folded, _) = tool(&["trace", "--folded", "patchwork-null", "--", "5"]);
    let calls = folded
        .lines()
        .filter(|line| line.starts_with("patchwork-null;GETPID;"));
    let counts = calls.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    assert_eq!(counts.sum::<u64>(), 5 * null(), "{folded}");
    assert!(folded.contains(";serve_call"), "{folded}");
}

#[test]
fn a_flame_graph_is_one_file_with_every_instruction() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("null.svg");
    let name = file.to_str().expect("UTF-8");
    tool(&["trace", "--flamegraph", name, "patchwork-null", "--", "5"]);
    let svg = fs::read_to_string(&file).expect("a picture");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(
        svg.contains(&format!("<title>GETPID\n{} instructions, ", 5 * null())),
        "{svg}"
    );
    // Nothing is loaded from elsewhere; the one address names the format.
    assert_eq!(svg.matches("http").count(), 1);
}

#[test]
fn run_trace_and_call_tell_the_same_count() {
    let (trace, _) = tool(&["trace", "--meter", "patchwork-null", "--", "5"]);
    let calls = trace.lines().filter(|line| line.contains("GETPID()"));
    let null = null();
    let told = format!(" ticks, {null} instr>");
    assert_eq!(
        calls.filter(|line| line.ends_with(&told)).count(),
        5,
        "{trace}"
    );
    assert!(trace.contains(" kernel instructions in all"), "{trace}");

    let (_, table) = tool(&["run", "--meter", "patchwork-null", "--", "5"]);
    let rows = table.lines().filter(|line| line.contains("GETPID()"));
    let ends = rows.filter(|row| row.ends_with(&format!(" {null}")));
    assert_eq!(ends.count(), 5, "{table}");

    let (call, _) = tool(&["call", "--meter", "patchwork", "GETPID"]);
    assert!(call.contains(&told), "{call}");
    let (call, _) = tool(&["call", "--no-meter", "patchwork", "GETPID"]);
    assert!(!call.contains("instr"), "{call}");
}

#[test]
fn a_call_that_switches_tells_the_part_of_each_process() {
    let program = ["patchwork-costs", "--", "yield-processes", "count", "2"];
    let (trace, _) = tool(&[&["trace", "--meter"][..], &program].concat());
    let switched = trace.lines().find(|line| line.contains(" by process>"));
    let line = switched.unwrap_or_else(|| panic!("{trace}"));
    let (_, cost) = line.split_once(" ticks, ").expect("a cost");
    let numbers = cost.split(|letter: char| !letter.is_ascii_digit() && letter != ',');
    let numbers = numbers.filter_map(|word| word.replace(',', "").parse::<u64>().ok());
    let numbers: Vec<u64> = numbers.collect();
    assert_eq!(numbers[0], numbers[1..].iter().sum::<u64>(), "{line}");
}

/// Stays in ring 0 of a program, counted from breakpoints at the kernel's entries
/// on, or step by step throughout: what began each, and its instructions.
fn stays(program: &str, operation: &str, at_entries: bool) -> Vec<(Option<u8>, bool, Vec<u64>)> {
    let options = VmOptions {
        meter_at_entries: at_entries,
        ..VmOptions::default().backend(BackendKind::Kvm).meter_path()
    };
    let vm = options.boot().expect("KVM runs the kernel");
    vm.reseed(1).expect("a seed");
    let command = vm.spawn(program).args([operation, "count", "2"]);
    let output = command.trace(false).meter(true).run().expect("it runs");
    assert!(output.status.success(), "{program} {operation}: {output:?}");
    let visits = output.visits().iter().cloned();
    visits.map(|it| (it.vector, it.is_call, it.path)).collect()
}

#[test]
fn counts_are_the_same_where_steps_begin_at_breakpoints() {
    for (program, operation) in [
        ("patchwork-costs", "fault"),
        ("patchwork-costs", "spawn"),
        ("patchwork-costs", "yield-processes"),
        ("veridian-costs", "call-64"),
        ("xeneva-costs", "thread"),
    ] {
        let stepped = stays(program, operation, false);
        let at_entries = stays(program, operation, true);
        let differs = stepped.iter().zip(&at_entries).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{program} {operation}");
        assert_eq!(stepped.len(), at_entries.len(), "{program} {operation}");
        let faults = stepped.iter().filter(|it| !it.1 && it.0 == Some(14));
        assert!(
            faults.count() > 0 && stepped.iter().any(|it| it.1),
            "{program} {operation}"
        );
    }
}
