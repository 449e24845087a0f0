//! The macro that declares a structure which crosses the boundary.
//!
//! Purpose: offset, name and type of a field are one row, checked against the
//! layout the compiler chose; the bytes are made from the same rows, so that a
//! kernel without `unsafe` can copy the structure out and a host can read it.
//! Neighbours: the interfaces beside this file declare their structures with it.

/// Declares a `repr(C)` structure of little-endian integers with its size, its
/// field offsets, and both ways between it and bytes.
macro_rules! structure {
    (
        $(#[$doc:meta])*
        $name:ident [$size:literal] {
            $( $(#[$field_doc:meta])* $offset:literal $field:ident : $type:ty, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        const _: () = {
            assert!(size_of::<$name>() == $size);
            $( assert!(core::mem::offset_of!($name, $field) == $offset); )*
        };

        impl $name {
            /// Size in bytes.
            pub const SIZE: usize = $size;

            /// The bytes that cross the boundary; padding is zero.
            pub fn to_bytes(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                $( bytes[$offset..$offset + size_of::<$type>()]
                    .copy_from_slice(&self.$field.to_le_bytes()); )*
                bytes
            }

            /// Reads the bytes back.
            pub fn from_bytes(bytes: &[u8; $size]) -> Self {
                Self {
                    $( $field: {
                        let mut field = [0; size_of::<$type>()];
                        field.copy_from_slice(&bytes[$offset..$offset + size_of::<$type>()]);
                        <$type>::from_le_bytes(field)
                    }, )*
                }
            }
        }
    };
}
pub(crate) use structure;
