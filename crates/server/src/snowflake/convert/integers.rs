//! The physical width of a FIXED column.
//!
//! Clients take the Arrow type of the first batch for the whole column, so one width is chosen per
//! column over the whole result, never per batch.

use arrow::datatypes::DataType;

/// How a FIXED column travels: an integer holding value × 10^scale, or a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    Int8,
    Int16,
    Int32,
    Int64,
    Decimal,
}

impl Width {
    /// The narrowest width that holds every unscaled value of the range. Without a range (unknown,
    /// or a column of NULLs) the declared precision decides.
    pub fn choose(precision: u8, range: Option<(i128, i128)>) -> Width {
        let Some((low, high)) = range else {
            return if precision <= 18 { Width::Int64 } else { Width::Decimal };
        };
        let fits = |min: i128, max: i128| low >= min && high <= max;
        if fits(i8::MIN.into(), i8::MAX.into()) {
            Width::Int8
        } else if fits(i16::MIN.into(), i16::MAX.into()) {
            Width::Int16
        } else if fits(i32::MIN.into(), i32::MAX.into()) {
            Width::Int32
        } else if fits(i64::MIN.into(), i64::MAX.into()) {
            Width::Int64
        } else {
            Width::Decimal
        }
    }

    /// The Arrow type on the wire.
    pub fn data_type(self, scale: u8) -> DataType {
        match self {
            Width::Int8 => DataType::Int8,
            Width::Int16 => DataType::Int16,
            Width::Int32 => DataType::Int32,
            Width::Int64 => DataType::Int64,
            Width::Decimal => DataType::Decimal128(38, scale as i8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_covers_the_range_and_no_more() {
        assert_eq!(Width::choose(38, Some((-128, 127))), Width::Int8);
        assert_eq!(Width::choose(38, Some((-129, 0))), Width::Int16);
        assert_eq!(Width::choose(38, Some((0, 40_000))), Width::Int32);
        assert_eq!(Width::choose(38, Some((0, 1 << 40))), Width::Int64);
        assert_eq!(Width::choose(38, Some((0, i128::from(i64::MAX) + 1))), Width::Decimal);
    }

    #[test]
    fn unknown_range_falls_back_to_the_precision() {
        assert_eq!(Width::choose(18, None), Width::Int64);
        assert_eq!(Width::choose(19, None), Width::Decimal);
    }
}
