//! Times and sizes with units, as options take them.
//!
//! Purpose: `500ms`, `2s`, `1m`; `512K`, `16M`, `1G`. Neighbours: `target`
//! gives these to the command-line parser.

use std::time::Duration;

/// Nobody types against a clock that they did not set: a hundred years.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Reads a time.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    scaled(text, &units)
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a number with ms, s or m, such as 500ms or 2s".into())
}

/// Reads a size in bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
    scaled(text, &units).ok_or_else(|| "expected a number with K, M or G, such as 16M".into())
}

/// A time as people read it: three digits and a unit.
pub(crate) fn time(time: Duration) -> String {
    let microseconds = time.as_secs_f64() * 1e6;
    match microseconds {
        0.0..10.0 => format!("{:.0} ns", microseconds * 1e3),
        10.0..1000.0 => format!("{microseconds:.0} us"),
        1000.0..1e6 => format!("{:.1} ms", microseconds / 1e3),
        _ => format!("{:.2} s", microseconds / 1e6),
    }
}

/// A number of calls.
pub(crate) fn calls(count: u64) -> String {
    match count {
        1 => "1 call".into(),
        count => format!("{count} calls"),
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find_map(|(unit, ones)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*ones)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(size("16M"), Ok(16 << 20));
        for wrong in ["", "5", "s", "-1s", "1.5s", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time(Duration::from_nanos(587)), "587 ns");
        assert_eq!(time(Duration::from_micros(12)), "12 us");
        assert_eq!(time(Duration::from_micros(1540)), "1.5 ms");
        assert_eq!(time(Duration::from_millis(2500)), "2.50 s");
    }
}
