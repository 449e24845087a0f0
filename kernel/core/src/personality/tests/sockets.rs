//! Local sockets of PatchworkOS between two processes: what waits, and for whom.

use mayfly_abi::patchwork;
use patchwork::nr;

use super::duo::{BUFFER, Duo, FDS};
use crate::object::process::ProcessKey;

const ERR: u64 = patchwork::ERR;
const NEVER: u64 = u64::MAX;
const ECONNRESET: u64 = 104;
/// A message that leaves no room for another.
const FULL: u64 = 16_376;
/// Where the server polls.
const IN: u64 = 1;

/// Opens a file that can be opened.
fn open(duo: &mut Duo, key: ProcessKey, path: &str) -> u64 {
    duo.poke(key, BUFFER, format!("{path}\0").as_bytes());
    let fd = duo.call(key, nr::OPEN, &[BUFFER]);
    assert_ne!(fd, ERR, "{path}");
    fd
}

/// Makes a socket; its directory.
fn socket(duo: &mut Duo, key: ProcessKey) -> String {
    let made = open(duo, key, "/net/local/seqpacket");
    assert_eq!(duo.call(key, nr::READ, &[made, BUFFER, 20]), 1);
    let number = duo.peek(key, BUFFER, 1);
    // It stays: programs read the number and go on with that.
    assert_eq!(duo.call(key, nr::CLOSE, &[made]), 0);
    format!("/net/local/{}", char::from(number[0]))
}

/// Gives a socket's control file commands, and closes it before they may wake anyone.
fn control(duo: &mut Duo, key: ProcessKey, fd: u64, commands: &str) {
    duo.poke(key, BUFFER, commands.as_bytes());
    let length = commands.len() as u64;
    assert_eq!(duo.call(key, nr::WRITE, &[fd, BUFFER, length]), length);
}

/// A process that listens at `a`, and the directory of its socket.
fn listening() -> (Duo, String) {
    let mut duo = Duo::new();
    let server = duo.one;
    let socket = socket(&mut duo, server);
    let fd = open(&mut duo, server, &format!("{socket}/ctl"));
    control(&mut duo, server, fd, "bind a && listen 1");
    assert_eq!(duo.call(server, nr::CLOSE, &[fd]), 0);
    (duo, socket)
}

/// Both have their end of a connection here. The client's control file is 4.
const END: u64 = 3;

/// Two processes with a connection: the server waited for it.
fn connected() -> Duo {
    let (mut duo, listener) = listening();
    let (server, client) = (duo.one, duo.other);
    let socket = socket(&mut duo, client);
    let data = open(&mut duo, client, &format!("{socket}/data"));
    let fd = open(&mut duo, client, &format!("{socket}/ctl"));
    assert_eq!((data, fd), (END, 4));
    duo.poke(server, BUFFER, format!("{listener}/accept\0").as_bytes());
    duo.park(server, nr::OPEN, &[BUFFER]);
    control(&mut duo, client, fd, "connect a");
    assert_eq!(duo.again(server), Some(END));
    duo
}

#[test]
fn who_accepts_waits_for_a_connection() {
    let mut duo = connected();
    let (server, client) = (duo.one, duo.other);
    duo.poke(client, BUFFER, b"hello");
    assert_eq!(duo.call(client, nr::WRITE, &[END, BUFFER, 5]), 5);
    assert_eq!(duo.call(server, nr::READ, &[END, BUFFER, 100]), 5);
    assert_eq!(duo.peek(server, BUFFER, 5), b"hello");
}

#[test]
fn who_receives_waits_for_a_message() {
    let mut duo = connected();
    let (server, client) = (duo.one, duo.other);
    for (reader, writer) in [(server, client), (client, server)] {
        duo.park(reader, nr::READ, &[END, BUFFER, 2]);
        duo.poke(writer, BUFFER, b"abc");
        assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 3]), 3);
        assert_eq!(duo.again(reader), Some(2), "the rest is gone");
        assert_eq!(duo.peek(reader, BUFFER, 2), b"ab");
        duo.park(reader, nr::READ, &[END, BUFFER, 2]);
        // An empty message is one too.
        assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 0]), 0);
        assert_eq!(duo.again(reader), Some(0));
    }
}

#[test]
fn who_sends_waits_for_room() {
    let mut duo = connected();
    let (server, client) = (duo.one, duo.other);
    assert_eq!(
        duo.call(client, nr::WRITE, &[END, BUFFER, FULL - 108]),
        FULL - 108
    );
    duo.park(client, nr::WRITE, &[END, BUFFER, 101]);
    // The other way is another queue.
    assert_eq!(duo.call(server, nr::WRITE, &[END, BUFFER, 7]), 7);
    assert_eq!(duo.call(server, nr::READ, &[END, BUFFER, 9]), 9);
    assert_eq!(duo.again(client), Some(101));
}

#[test]
fn the_end_of_a_process_wakes_the_other_side() {
    let ends: [(u64, u64, u64); 2] = [(nr::READ, 0, 0), (nr::WRITE, ERR, ECONNRESET)];
    for (number, result, errno) in ends {
        let mut duo = connected();
        let (server, client) = (duo.one, duo.other);
        assert_eq!(duo.call(client, nr::WRITE, &[END, BUFFER, FULL]), FULL);
        let waiting = if number == nr::READ { server } else { client };
        if waiting == server {
            assert_eq!(duo.call(server, nr::READ, &[END, BUFFER, 1]), 1);
        }
        duo.park(waiting, number, &[END, BUFFER, 1]);
        duo.bench
            .kernel
            .kill(if waiting == server { client } else { server });
        duo.ready.clear();
        assert_eq!(duo.again(waiting), Some(result));
        if result == ERR {
            assert_eq!(duo.errno(waiting), errno);
        }
    }
}

#[test]
fn what_was_sent_before_the_end_can_be_received() {
    let mut duo = connected();
    let (server, client) = (duo.one, duo.other);
    assert_eq!(duo.call(client, nr::WRITE, &[END, BUFFER, 5]), 5);
    duo.bench.kernel.kill(client);
    duo.ready.retain(|key| *key == server);
    assert_eq!(duo.call(server, nr::READ, &[END, BUFFER, 9]), 5);
    assert_eq!(duo.call(server, nr::READ, &[END, BUFFER, 9]), 0);
    assert_eq!(duo.call(server, nr::WRITE, &[END, BUFFER, 1]), ERR);
    assert_eq!(duo.errno(server), ECONNRESET);
}

#[test]
fn a_closed_connection_wakes_the_other_side() {
    let mut duo = connected();
    let (server, client) = (duo.one, duo.other);
    duo.park(client, nr::READ, &[END, BUFFER, 1]);
    assert_eq!(duo.call(server, nr::CLOSE, &[END]), 0);
    assert_eq!(duo.again(client), Some(0));
}

#[test]
fn a_connection_that_nobody_accepts_ends_with_who_listens() {
    let (mut duo, _) = listening();
    let (server, client) = (duo.one, duo.other);
    let socket = socket(&mut duo, client);
    let data = open(&mut duo, client, &format!("{socket}/data"));
    let fd = open(&mut duo, client, &format!("{socket}/ctl"));
    control(&mut duo, client, fd, "connect a");
    duo.park(client, nr::READ, &[data, BUFFER, 1]);
    duo.bench.kernel.kill(server);
    duo.ready.clear();
    assert_eq!(duo.again(client), Some(0));
}

/// One `pollfd_t` for reading.
fn poll_in(duo: &mut Duo, key: ProcessKey, fd: u64) -> [u64; 3] {
    let mut bytes = [0; 16];
    bytes[0] = fd.to_le_bytes()[0];
    bytes[8] = IN.to_le_bytes()[0];
    duo.poke(key, FDS, &bytes);
    [FDS, 1, NEVER]
}

#[test]
fn a_poll_waits_for_messages_connections_and_ends() {
    let (mut duo, listener) = listening();
    let (server, client) = (duo.one, duo.other);
    let data = open(&mut duo, server, &format!("{listener}/data"));
    let socket = socket(&mut duo, client);
    let end = open(&mut duo, client, &format!("{socket}/data"));
    let fd = open(&mut duo, client, &format!("{socket}/ctl"));
    let poll = poll_in(&mut duo, server, data);
    duo.park(server, nr::POLL, &poll);
    control(&mut duo, client, fd, "connect a");
    assert_eq!(duo.again(server), Some(1));
    assert_eq!(duo.peek(server, FDS + 12, 1), [1]);
    let accepted = open(&mut duo, server, &format!("{listener}/accept"));
    for (done, events) in [(nr::WRITE, 1), (nr::CLOSE, 8)] {
        let poll = poll_in(&mut duo, client, end);
        duo.park(client, nr::POLL, &poll);
        duo.call(server, done, &[accepted, BUFFER, 1]);
        assert_eq!(duo.again(client), Some(1));
        assert_eq!(duo.peek(client, FDS + 12, 1), [events]);
        assert_ne!(duo.call(client, nr::READ, &[end, BUFFER, 9]), ERR);
    }
}

#[test]
fn others_cannot_use_a_socket_and_its_names_go_with_its_process() {
    let (mut duo, listener) = listening();
    let (server, client) = (duo.one, duo.other);
    let quota = std::rc::Rc::clone(&duo.bench.kernel.files().quota);
    for path in [format!("{listener}/data\0"), format!("{listener}/accept\0")] {
        duo.poke(client, BUFFER, path.as_bytes());
        assert_eq!(duo.call(client, nr::OPEN, &[BUFFER]), ERR);
        assert_eq!(duo.errno(client), 2, "{path}");
    }
    let listed = open(&mut duo, client, "/net/local/listen/a");
    assert_eq!(duo.call(client, nr::CLOSE, &[listed]), 0);
    let left = quota.left();
    duo.bench.kernel.kill(server);
    duo.ready.retain(|key| *key == client);
    assert!(quota.left() > left + 1024);
    for path in [format!("{listener}:d\0"), "/net/local/listen/a\0".into()] {
        duo.poke(client, BUFFER, path.as_bytes());
        assert_eq!(duo.call(client, nr::OPEN, &[BUFFER]), ERR);
        assert_eq!(duo.errno(client), 2, "{path}");
    }
}

#[test]
fn sockets_give_back_what_they_took() {
    let mut duo = Duo::new();
    let (server, client) = (duo.one, duo.other);
    let quota = std::rc::Rc::clone(&duo.bench.kernel.files().quota);
    // What is made once stays.
    let listed = open(&mut duo, client, "/net/local/listen:d");
    let socket_of_server = socket(&mut duo, server);
    open(&mut duo, server, &format!("{socket_of_server}/ctl"));
    duo.bench.kernel.kill(server);
    duo.ready.retain(|key| *key == client);
    let before = quota.left();
    let socket = socket(&mut duo, client);
    let made = quota.left();
    assert!(made < before);
    let fd = open(&mut duo, client, &format!("{socket}/ctl"));
    control(&mut duo, client, fd, "bind b");
    assert!(quota.left() < made);
    assert_eq!(duo.call(client, nr::CLOSE, &[fd]), 0);
    assert_eq!(duo.call(client, nr::CLOSE, &[listed]), 0);
    duo.bench.kernel.kill(client);
    duo.ready.clear();
    assert_eq!(quota.left(), before);
}
