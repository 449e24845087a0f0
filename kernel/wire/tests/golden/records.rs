//! Trace records: their bytes, and both ways between the two.

use mayfly_wire::trace::{DETAIL_MAX, FIXED, Record};
use proptest::prelude::*;

#[test]
fn a_record_has_the_bytes_of_this_version() {
    let record = Record {
        pid: 0x0102_0304_0506_0708,
        tid: 0x1112_1314,
        abi: 0x21,
        detail: 0x22,
        ended: true,
        error: 0x3132_3334,
        number: 0x41,
        arguments: [0x51, 0x52, 0x53, 0x54, 0x55, 0x56],
        result: 0x61,
        entered_tsc: 0x71,
        left_tsc: 0x72,
    };
    let mut expected = [0; FIXED];
    expected[..8].copy_from_slice(&[8, 7, 6, 5, 4, 3, 2, 1]);
    expected[8..16].copy_from_slice(&[0x14, 0x13, 0x12, 0x11, 0x21, 0x22, 1, 0]);
    expected[16..24].copy_from_slice(&[0x34, 0x33, 0x32, 0x31, 0, 0, 0, 0]);
    let rest = [0x41, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x61, 0x71, 0x72];
    for (index, byte) in rest.into_iter().enumerate() {
        expected[24 + 8 * index] = byte;
    }
    assert_eq!(record.to_bytes(), expected);
}

#[test]
fn a_record_with_its_detail_has_a_round_size() {
    assert_eq!(FIXED + DETAIL_MAX, 160);
    assert!(u8::try_from(DETAIL_MAX).is_ok());
}

proptest! {
    #[test]
    fn records_come_back(
        (pid, tid, abi, detail, ended) in any::<(u64, u32, u8, u8, bool)>(),
        (error, number, arguments, result) in any::<(u32, u64, [u64; 6], u64)>(),
        (entered_tsc, left_tsc) in any::<(u64, u64)>(),
    ) {
        let record = Record {
            pid, tid, abi, detail, ended, error, number, arguments, result, entered_tsc, left_tsc,
        };
        prop_assert_eq!(Record::from_bytes(&record.to_bytes()), record);
    }

    #[test]
    fn any_bytes_are_a_record(bytes in any::<[u8; 32]>()) {
        let mut fixed = [0; FIXED];
        for (at, byte) in fixed.iter_mut().zip(bytes.iter().cycle()) {
            *at = *byte;
        }
        let record = Record::from_bytes(&fixed);
        prop_assert_eq!(Record::from_bytes(&record.to_bytes()), record);
    }
}
