//! Keys, history, completion, pasted text, windows.

use crate::pty::Session;

#[mayfly::test]
fn keys_edit_the_line_where_the_cursor_is() {
    let mut session = Session::new();
    session.types("echo one tree\x1b[D\x1b[D\x1b[Dh");
    session.until("the letter where the cursor was", |rows, (row, column)| {
        rows[usize::from(row)] == "guest> echo one three" && column == 18
    });
    session.types("\x01X\x1b[3~\x04\x05!");
    session.row("guest> Xho one three!");
    session.types("\x17\x1bb\x0b\x01\x15");
    session.row("guest> Xho");
    session.types("\x05\x15echo 'gr\u{fc}\u{df}e \u{4e2d}\u{6587}x'\x1b[D\x7f\r");
    session.row("gr\u{fc}\u{df}e \u{4e2d}\u{6587}");
}

#[mayfly::test]
fn history_is_there_in_the_next_session_and_can_be_searched() {
    let mut first = Session::new();
    first.run("echo the first");
    first.run("echo another");
    first.types("\x1b[A\x1b[A");
    first.row("guest> echo the first");
    first.types("\x1b[B\x1b[B\x04");
    assert_eq!(first.status(), 0);
    let mut second = first.again();
    second.types("\x12first");
    second.row("(search) first: echo the first");
    second.types("\r");
    second.row("the first");
    second.prompt();
    second.types("\x1b[A\x1b[A");
    second.row("guest> echo another");
}

#[mayfly::test]
fn tab_completes_commands_programs_and_paths() {
    let mut session = Session::new();
    session.types("hist\t");
    session.row("guest> history");
    session.types("\x15patchwork-hel\t\t");
    session.row("guest> patchwork-hello");
    session.types("\x15cat /dev/pe\tme\t");
    session.row("guest> cat /dev/perf/mem");
    session.types("\x15xeneva-\t\t");
    let rows = session.text("xeneva-args");
    assert!(
        rows.iter().any(|row| row.contains("xeneva-hello")),
        "{rows:?}"
    );
    session.until("the line below the names", |rows, (row, _)| {
        row > 1 && rows[usize::from(row)] == "guest> xeneva-"
    });
}

#[mayfly::test]
fn pasted_lines_run_when_they_were_seen() {
    let mut session = Session::new();
    session.types("\x1b[200~echo one\recho two\x1b[201~");
    session.until("both lines, not run", |rows, (row, column)| {
        rows[0..]
            .windows(2)
            .any(|pair| pair == ["guest> echo one", "echo two"])
            && rows[usize::from(row)] == "echo two"
            && column == 8
    });
    session.types("\r");
    session.until("both answers", |rows, _| {
        rows.windows(2).any(|pair| pair == ["one", "two"])
    });
}

#[mayfly::test]
fn an_entry_of_several_lines_comes_back_as_it_was() {
    let mut first = Session::new();
    first.types("\x1b[200~echo one\recho two\r\x1b[201~\r");
    first.until("both answers", |rows, _| {
        rows.windows(2).any(|pair| pair == ["one", "two"])
    });
    first.prompt();
    first.types("\x04");
    first.status();
    let mut second = first.again();
    second.types("\x1b[A");
    second.until("both lines", |rows, (row, column)| {
        rows.windows(2)
            .any(|pair| pair == ["guest> echo one", "echo two"])
            && rows[usize::from(row)] == "echo two"
            && column == 8
    });
    second.types("\r");
    second.until("both answers", |rows, _| {
        rows.windows(2).any(|pair| pair == ["one", "two"])
    });
}

#[mayfly::test]
fn a_wide_paste_is_not_lost() {
    let mut session = Session::with(&[], 80, 60);
    let words: Vec<String> = (0..700).map(|n| format!("w{n}")).collect();
    let line = format!("echo {}", words.join(" "));
    session
        .types("\x1b[200~")
        .types(&line)
        .types("\x1b[201~")
        .types("\r");
    let rows = session.until("the end of the answer", |rows, (row, _)| {
        let at = usize::from(row);
        rows[at] == "guest>" && rows[at - 1].ends_with("w699")
    });
    // Row for row, as the terminal broke it.
    let shown: String = rows.iter().map(|row| format!("{row:80}")).collect();
    assert!(shown.contains("w500 w501 w502"), "{shown}");
}

#[mayfly::test]
fn a_paste_in_front_of_text_is_not_lost() {
    let mut session = Session::with(&[], 80, 60);
    let words: Vec<String> = (0..750).map(|n| format!("w{n}")).collect();
    session.types("tailtext\x01");
    session.until("the cursor in front", |_, (_, column)| column == 7);
    session
        .types(format!("echo {} ", words.join(" ")))
        .types("\r");
    session.until("the end of the answer", |rows, (row, _)| {
        let at = usize::from(row);
        rows[at] == "guest>" && rows[at - 1].ends_with("w749 tailtext")
    });
}

#[mayfly::test]
fn a_line_that_is_too_long_is_refused_and_not_cut() {
    let mut session = Session::with(&[], 80, 24);
    let words = "w".repeat(20_000);
    session
        .types("\x1b[200~echo ")
        .types(&words)
        .types("\x1b[201~");
    session.types("\r");
    session.row("shell: the line is longer than 16,384 bytes, and was not run");
    session.row("  try: `mayfly shell < FILE` runs a file line by line");
    session.prompt();
    assert!(session.everything().contains('\x07'));
    // Text that comes without brackets, and Enter with it.
    session.types("\x0c");
    session.until("an empty screen", |_, cursor| cursor.0 == 0);
    session.types(format!("echo {words}\r"));
    session.row("shell: the line is longer than 16,384 bytes, and was not run");
    session.prompt();
    assert_eq!(session.run("echo on"), "on");
}

#[mayfly::test]
fn what_ends_without_a_newline_is_not_erased() {
    let mut session = Session::new();
    session.types("echo -n hello\r");
    session.until("the answer in a row of its own", |rows, (row, column)| {
        let at = usize::from(row);
        at > 0 && rows[at] == "guest>" && rows[at - 1] == "hello" && column == 7
    });
    session.types("ab\x1b[D");
    session.until("the cursor in the line", |rows, (row, column)| {
        let at = usize::from(row);
        rows[at] == "guest> ab" && rows[at - 1] == "hello" && column == 8
    });
    session.types("\x03");
    session.types("cat\r");
    session.row("guest> cat");
    session.types("abc\x04\x04");
    session.until("the prompt below", |rows, (row, _)| {
        let at = usize::from(row);
        at > 0 && rows[at] == "guest>" && rows[at - 1] == "abcabc"
    });
    // An empty line, and one that was given up, leave no empty row.
    session.types("\x0c\r");
    session.types("x\x03");
    session.until("prompts one below the other", |rows, (row, _)| {
        row == 2 && rows[..3] == ["guest>", "guest> x^C", "guest>"]
    });
}

#[mayfly::test]
fn the_line_follows_the_window() {
    let mut session = Session::new();
    session.types("echo 0123456789 0123456789 0123456789");
    session.row("guest> echo 0123456789 0123456789 0123456789");
    session.resize(20, 12);
    session.until("rows of 20", |rows, (row, column)| {
        let at = usize::from(row);
        at >= 2
            && rows[at - 2] == "guest> echo 01234567"
            && rows[at - 1] == "89 0123456789 012345"
            && rows[at] == "6789"
            && column == 4
    });
    session.resize(60, 12);
    session.until("one row", |rows, (row, _)| {
        rows[usize::from(row)] == "guest> echo 0123456789 0123456789 0123456789"
    });
    session.types("\r");
    session.row("0123456789 0123456789 0123456789");
}

#[mayfly::test]
fn twenty_columns_are_enough() {
    let mut session = Session::with(&[], 20, 20);
    session.types("echo a very long line that wraps\x01\x1b[C\x1b[C\x1b[C\x1b[C\x1b[CX \r");
    session.row("X a very long line t");
    session.prompt();
    session.types("nosuchthing\r");
    session.text("no such command");
    session.prompt();
}

#[mayfly::test]
fn ctrl_c_gives_a_line_up_and_ctrl_l_empties_the_screen() {
    let mut session = Session::new();
    session.types("echo not this\x03");
    session.row("guest> echo not this^C");
    session.prompt();
    assert_eq!(session.run("echo $?"), "130");
    session.types("abc\x0c");
    session.until("nothing else", |rows, cursor| {
        rows[0] == "guest> abc" && rows[1..].iter().all(String::is_empty) && cursor == (0, 10)
    });
}

#[mayfly::test]
fn a_screen_is_cleared_by_its_command_too() {
    let mut session = Session::new();
    session.run("echo something");
    session.types("clear\r");
    session.until("nothing but a prompt", |rows, _| {
        rows[0] == "guest>" && rows[1..].iter().all(String::is_empty)
    });
}

#[mayfly::test]
fn help_fits_a_window_of_80_columns() {
    let mut session = Session::new();
    let told = session.run("help");
    assert!(told.contains("clear") && told.contains("Ctrl-R"), "{told}");
    // A row that is full would go on in the next one.
    assert!(told.lines().all(|row| row.len() < 80), "{told}");
}
