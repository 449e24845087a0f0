//! Many processes, each with threads, that all write to one pipe.
//!
//! Arguments: `crowd N`: N children of four threads each write records to
//! their standard output, which is a pipe; their parent reads it to its end and
//! checks that no record is torn, lost or out of order. `child I`: one of them.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ffi::CStr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::patchwork::Errno;
use mayfly_user::check::Checks;
use mayfly_user::{Patchwork, Process, patchwork};

mayfly_user::program!(Patchwork, run);
mayfly_user::thread!(write_entry, write_records);

const PROGRAM: &CStr = c"/bin/patchwork-stress";
const STDOUT: u64 = 1;
/// Most children, threads of each, and records of each thread.
const CHILDREN: usize = 200;
const THREADS: usize = 4;
const RECORDS: u64 = 4;
/// Bytes of a record: child, thread, number, sum.
const RECORD: usize = 32;

/// Which child this is, and how many of its threads are over.
static CHILD: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicU64 = AtomicU64::new(0);

type Result<T> = core::result::Result<T, Option<Errno>>;

fn run(process: &Process<Patchwork>) -> i32 {
    let arguments = process.arguments();
    let number = arguments.number(2).unwrap_or(1);
    let mut checks = Checks::new(process, "stress");
    let done = match arguments.get(1).unwrap_or(b"") {
        b"child" => return child(number).map_or(1, |()| 0),
        _ => crowd(&mut checks, number),
    };
    checks.holds(format_args!("{done:?}"), done.is_ok());
    checks.finish()
}

/// Starts the children, and reads what they write.
fn crowd(checks: &mut Checks<'_, Patchwork>, count: u64) -> Result<()> {
    let [reader, writer] = patchwork::open2(c"/dev/pipe/new")?;
    let output = patchwork::dup(STDOUT)?;
    patchwork::dup2(writer, STDOUT)?;
    let mut started = 0;
    for index in 0..count {
        let mut digits = [0; 21];
        let arguments = [PROGRAM, c"child", decimal(index, &mut digits)];
        started += u64::from(patchwork::spawn(&arguments, 0).is_ok());
    }
    patchwork::dup2(output, STDOUT)?;
    patchwork::close(writer)?;
    checks.equal(format_args!("children"), started, count);

    let mut next = [[0; THREADS]; CHILDREN];
    let mut records = 0;
    // Whole records fit, so that none is cut.
    let mut bytes = [0; RECORD * 127];
    loop {
        let length = patchwork::read(reader, &mut bytes)?;
        if length == 0 {
            break;
        }
        checks.equal(format_args!("cut"), (length % RECORD) as u64, 0);
        for record in bytes[..length].chunks(RECORD) {
            look(checks, record, &mut next);
            records += 1;
        }
    }
    let wanted = count * THREADS as u64 * RECORDS;
    checks.equal(format_args!("records"), records, wanted);
    Ok(())
}

/// Checks a record: it is whole, and the next one of its thread.
fn look(checks: &mut Checks<'_, Patchwork>, record: &[u8], next: &mut [[u64; THREADS]; CHILDREN]) {
    let word = |at: usize| {
        let bytes = record.get(at * 8..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let [child, thread, number] = [word(0), word(1), word(2)];
    checks.equal(format_args!("sum"), word(3), child + thread + number);
    let of_child = usize::try_from(child).ok().and_then(|at| next.get_mut(at));
    let place = of_child.and_then(|of| of.get_mut(usize::try_from(thread).ok()?));
    match place {
        Some(expected) => {
            checks.equal(format_args!("{child} {thread}"), number, *expected);
            *expected += 1;
        }
        None => checks.holds(format_args!("{child} {thread} exists"), false),
    }
}

/// Starts the threads, and waits for them.
fn child(number: u64) -> Result<()> {
    CHILD.store(number, SeqCst);
    for thread in 0..THREADS as u64 {
        patchwork::thread_create(write_entry, thread)?;
    }
    loop {
        match OVER.load(SeqCst) {
            over if over == THREADS as u64 => return Ok(()),
            over => {
                let _ = patchwork::futex_wait(&OVER, over, u64::MAX);
            }
        }
    }
}

fn write_records(thread: u64) {
    let child = CHILD.load(SeqCst);
    for number in 0..RECORDS {
        let words = [child, thread, number, child + thread + number];
        let mut record = [0; RECORD];
        for (bytes, word) in record.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let _ = patchwork::write(STDOUT, &record);
    }
    OVER.fetch_add(1, SeqCst);
    let _ = patchwork::futex_wake(&OVER);
}

/// A number in digits, with a NUL behind them.
fn decimal(mut number: u64, digits: &mut [u8; 21]) -> &CStr {
    let mut at = digits.len() - 1;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 || at == 0 {
            break;
        }
    }
    CStr::from_bytes_until_nul(&digits[at..]).unwrap_or(c"0")
}
