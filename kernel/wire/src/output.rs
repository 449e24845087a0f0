//! Output without a copy: an event's header, for bytes sent from where they lie.

/// Writes the frame header and all of an [`Event::Output`](crate::message::Event::Output) but its bytes, so
/// that the bytes can follow from where they lie; says how long that is.
/// `None` when `buffer` (24 bytes are enough) or the frame is too small.
pub fn output_header(buffer: &mut [u8], pid: u64, stream: u8, length: usize) -> Option<usize> {
    // postcard: variant number, then each field; `bytes` is length and contents.
    const OUTPUT: u8 = 5;
    let body = buffer.get_mut(crate::frame::HEADER..)?;
    let mut used = 0;
    *body.get_mut(used)? = OUTPUT;
    used += 1;
    used += varint(body.get_mut(used..)?, pid)?;
    *body.get_mut(used)? = stream;
    used += 1;
    used += varint(body.get_mut(used..)?, length as u64)?;
    let total = used
        .checked_add(length)
        .filter(|total| *total <= crate::BODY_MAX)?;
    let total = u32::try_from(total).ok()?;
    *buffer.first_chunk_mut()? = total.to_le_bytes();
    Some(crate::frame::HEADER + used)
}

fn varint(buffer: &mut [u8], mut value: u64) -> Option<usize> {
    for (at, byte) in buffer.iter_mut().enumerate() {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        *byte = if value == 0 { low } else { low | 0x80 };
        if value == 0 {
            return Some(at + 1);
        }
    }
    None
}
