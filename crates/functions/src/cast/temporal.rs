//! Conversions of dates, times and timestamps.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Builder, NullBufferBuilder, PrimitiveBuilder, StructArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Int32Type, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use chrono_tz::Tz;
use frazil_common::{Code, UserError, excerpt};

use super::{attempt, lenient};
use crate::kernel::{Input, KernelResult, Rows};
use crate::temporal::format::{elements, write};
use crate::temporal::parse::{self, Parsed};
use crate::temporal::{
    self, Moment, SECONDS_PER_DAY, counts_nanos, local_to_utc, offset_at, out_of_range,
};

/// A date, time or timestamp argument read as a wall clock with its offset.
pub(crate) struct Clocks<'a> {
    input: &'a Input,
    nanos: bool,
}

/// A wall clock in the session's zone (LTZ), its own offset (TZ) or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub wall: Moment,
    /// Seconds east of UTC: before standard time, zones were not off by whole minutes.
    pub offset: i32,
}

impl Rows {
    pub(crate) fn clocks(&self, index: usize) -> KernelResult<Clocks<'_>> {
        let input = self.input(index)?;
        Ok(Clocks { input, nanos: counts_nanos(input.array.data_type()) })
    }

    /// The session's zone, from a literal argument.
    pub(crate) fn zone(&self, index: usize) -> KernelResult<Tz> {
        let name = self.texts(index)?;
        Ok(temporal::zone(name.get(0).unwrap_or("UTC"))?)
    }
}

impl Clocks<'_> {
    fn units(&self, array: &dyn Array, row: usize) -> i64 {
        match array.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                array.as_primitive::<TimestampMicrosecondType>().value(row)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                array.as_primitive::<TimestampNanosecondType>().value(row)
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                array.as_primitive::<Time64MicrosecondType>().value(row)
            }
            DataType::Time64(TimeUnit::Nanosecond) => {
                array.as_primitive::<Time64NanosecondType>().value(row)
            }
            _ => 0,
        }
    }

    pub fn get(&self, row: usize, zone: Tz) -> Option<Clock> {
        if self.input.is_null(row) {
            return None;
        }
        let row = self.input.row(row);
        let array = self.input.array.as_ref();
        Some(match array.data_type() {
            DataType::Date32 => Clock {
                wall: Moment::from_days(array.as_primitive::<Date32Type>().value(row) as i64),
                offset: 0,
            },
            DataType::Timestamp(_, Some(_)) => {
                let instant = Moment::from_units(self.units(array, row), self.nanos);
                let offset = offset_at(zone, instant.seconds);
                Clock { wall: instant.plus_seconds(offset), offset: offset as i32 }
            }
            DataType::Struct(_) => {
                let columns = array.as_struct();
                let instant =
                    Moment::from_units(self.units(columns.column(0).as_ref(), row), self.nanos);
                let offset = columns.column(1).as_primitive::<Int32Type>().value(row) * 60;
                Clock { wall: instant.plus_seconds(offset as i64), offset }
            }
            _ => Clock { wall: Moment::from_units(self.units(array, row), self.nanos), offset: 0 },
        })
    }
}

/// Builds a timestamp column of any of the three kinds, in the unit of its type, from wall clocks
/// and their offsets in seconds; none takes the zone's.
pub(crate) fn build_timestamps(
    rows: &Rows,
    zone: Tz,
    mut value: impl FnMut(usize) -> KernelResult<Option<(Moment, Option<i32>)>>,
) -> KernelResult {
    let nanos = counts_nanos(&rows.out);
    // The wall clock's instant.
    let instant = |wall: Moment, offset: Option<i32>| match offset {
        Some(offset) => wall.plus_seconds(-(offset as i64)),
        None => Moment { seconds: local_to_utc(zone, wall.seconds), nanos: wall.nanos },
    };
    // The same, and the minutes to keep: an instant that is known stays, else the wall clock does.
    let kept = |wall: Moment, offset: Option<i32>| {
        let moment = instant(wall, offset);
        let minutes = (wall.seconds - moment.seconds) / 60;
        let moment = if offset.is_some() { moment } else { wall.plus_seconds(-minutes * 60) };
        (moment, minutes as i32)
    };
    let units = |moment: Moment| moment.to_units(nanos).ok_or_else(|| out_of_range("Timestamp"));
    let fill = |data_type: &DataType, values: Vec<Option<i64>>| -> ArrayRef {
        if nanos {
            let mut builder = PrimitiveBuilder::<TimestampNanosecondType>::new()
                .with_data_type(data_type.clone());
            values.into_iter().for_each(|v| builder.append_option(v));
            Arc::new(builder.finish())
        } else {
            let mut builder = PrimitiveBuilder::<TimestampMicrosecondType>::new()
                .with_data_type(data_type.clone());
            values.into_iter().for_each(|v| builder.append_option(v));
            Arc::new(builder.finish())
        }
    };
    let mut values = Vec::with_capacity(rows.rows);
    match &rows.out {
        DataType::Struct(fields) => {
            let mut offsets = Int32Builder::with_capacity(rows.rows);
            let mut nulls = NullBufferBuilder::new(rows.rows);
            for row in 0..rows.rows {
                match value(row)? {
                    Some((wall, offset)) => {
                        let (moment, minutes) = kept(wall, offset);
                        values.push(Some(units(moment)?));
                        offsets.append_value(minutes);
                        nulls.append_non_null();
                    }
                    None => {
                        values.push(Some(0));
                        offsets.append_value(0);
                        nulls.append_null();
                    }
                }
            }
            let instants = fill(fields[0].data_type(), values);
            Ok(Arc::new(StructArray::try_new(
                fields.clone(),
                vec![instants, Arc::new(offsets.finish())],
                nulls.finish(),
            )?))
        }
        DataType::Timestamp(_, kind) => {
            for row in 0..rows.rows {
                values.push(match value(row)? {
                    Some((wall, offset)) if kind.is_some() => Some(units(instant(wall, offset))?),
                    // NTZ keeps the clock as written and drops the offset.
                    Some((wall, _)) => Some(units(wall)?),
                    None => None,
                });
            }
            Ok(fill(&rows.out, values))
        }
        other => Err(UserError::internal(format!("{other} is no timestamp")).into()),
    }
}

pub(crate) fn date_error(text: &str) -> UserError {
    UserError::new(Code::DateNotRecognized, format!("Date '{}' is not recognized", excerpt(text)))
}

pub(crate) fn timestamp_error(text: &str) -> UserError {
    let message = format!("Timestamp '{}' is not recognized", excerpt(text));
    UserError::new(Code::TimestampNotRecognized, message)
}

pub(crate) fn time_error(text: &str) -> UserError {
    let message = format!("Time '{}' is not recognized", excerpt(text));
    UserError::new(Code::TimestampNotRecognized, message)
}

/// Remembers the last format split, as it is nearly always the same.
#[derive(Default)]
pub(crate) struct Formats(Option<(String, Vec<(crate::temporal::format::Element, bool)>)>);

impl Formats {
    pub fn split(&mut self, format: &str) -> &[(crate::temporal::format::Element, bool)] {
        if self.0.as_ref().is_none_or(|(held, _)| held != format) {
            self.0 = Some((format.to_string(), elements(format)));
        }
        self.0.as_ref().map(|(_, e)| e.as_slice()).unwrap_or(&[])
    }

    pub fn read(&mut self, text: &str, format: Option<&str>) -> Option<Parsed> {
        match format {
            Some(f) if !f.trim().is_empty() && !f.eq_ignore_ascii_case("AUTO") => {
                parse::with_elements(text, self.split(f))
            }
            _ => parse::auto(text),
        }
    }
}

/// (text, lenient, [format]) → DATE
pub(crate) fn text_to_date(rows: &Rows) -> KernelResult {
    let values = rows.texts(0)?;
    let lenient = lenient(rows, 1)?;
    let format = if rows.inputs.len() > 2 { Some(rows.texts(2)?) } else { None };
    let mut formats = Formats::default();
    rows.build::<Date32Type>(|row| {
        let Some(text) = values.get(row) else { return Ok(None) };
        let pattern = match &format {
            Some(f) => match f.get(row) {
                Some(f) => Some(f),
                None => return Ok(None),
            },
            None => None,
        };
        attempt(
            lenient,
            formats
                .read(text, pattern)
                .map(|p| p.moment.days() as i32)
                .ok_or_else(|| date_error(text)),
        )
    })
}

/// (text, lenient, [format]) → TIME
pub(crate) fn text_to_time(rows: &Rows) -> KernelResult {
    let values = rows.texts(0)?;
    let lenient = lenient(rows, 1)?;
    let format = if rows.inputs.len() > 2 { Some(rows.texts(2)?) } else { None };
    build_times(rows, |row| {
        let Some(text) = values.get(row) else { return Ok(None) };
        let pattern = format.as_ref().and_then(|f| f.get(row));
        attempt(lenient, parse::time(text, pattern).ok_or_else(|| time_error(text)))
    })
}

/// A TIME column of nanoseconds since midnight.
pub(crate) fn build_times(
    rows: &Rows,
    mut value: impl FnMut(usize) -> KernelResult<Option<i64>>,
) -> KernelResult {
    if counts_nanos(&rows.out) {
        rows.build::<Time64NanosecondType>(value)
    } else {
        rows.build::<Time64MicrosecondType>(|row| Ok(value(row)?.map(|n| n / 1000)))
    }
}

/// (text, lenient, zone, [format]) → timestamp
pub(crate) fn text_to_timestamp_kernel(rows: &Rows) -> KernelResult {
    let values = rows.texts(0)?;
    let lenient = lenient(rows, 1)?;
    let zone = rows.zone(2)?;
    let format = if rows.inputs.len() > 3 { Some(rows.texts(3)?) } else { None };
    let mut formats = Formats::default();
    build_timestamps(rows, zone, |row| {
        let Some(text) = values.get(row) else { return Ok(None) };
        let pattern = format.as_ref().and_then(|f| f.get(row));
        let parsed = formats.read(text, pattern).map(|p| {
            let offset = if p.epoch { Some(0) } else { p.offset.map(|minutes| minutes * 60) };
            (p.moment, offset)
        });
        attempt(lenient, parsed.ok_or_else(|| timestamp_error(text)))
    })
}

/// (timestamp, lenient, zone, scale) → timestamp of another kind or scale
pub(crate) fn timestamp_zone_kernel(rows: &Rows) -> KernelResult {
    let values = rows.clocks(0)?;
    let zone = rows.zone(2)?;
    let scale = rows.integers(3)?.get(0).unwrap_or(9).clamp(0, 9) as u32;
    let unit = 10u32.pow(9 - scale);
    let zoned = !matches!(rows.input(0)?.array.data_type(), DataType::Timestamp(_, None));
    // To NTZ the clock is kept as the session sees an LTZ and as a TZ was written.
    build_timestamps(rows, zone, |row| {
        Ok(values.get(row, zone).map(|clock| {
            let wall = Moment { nanos: clock.wall.nanos / unit * unit, ..clock.wall };
            (wall, if zoned { Some(clock.offset) } else { None })
        }))
    })
}

pub(super) fn timestamp_to_date(rows: &Rows) -> KernelResult {
    let values = rows.clocks(0)?;
    let zone = rows.zone(2)?;
    rows.build::<Date32Type>(|row| Ok(values.get(row, zone).map(|clock| clock.wall.days() as i32)))
}

pub(super) fn timestamp_to_time(rows: &Rows) -> KernelResult {
    let values = rows.clocks(0)?;
    let zone = rows.zone(2)?;
    build_times(rows, |row| {
        Ok(values
            .get(row, zone)
            .map(|clock| clock.wall.second_of_day() * 1_000_000_000 + clock.wall.nanos as i64))
    })
}

pub(super) fn time_to_time(rows: &Rows) -> KernelResult {
    let values = rows.clocks(0)?;
    let scale = rows.integers(2)?.get(0).unwrap_or(9).clamp(0, 9) as u32;
    let unit = 10i64.pow(9 - scale);
    build_times(rows, |row| {
        Ok(values.get(row, Tz::UTC).map(|clock| {
            let nanos = clock.wall.seconds.rem_euclid(SECONDS_PER_DAY) * 1_000_000_000
                + clock.wall.nanos as i64;
            nanos / unit * unit
        }))
    })
}

/// (value, format, zone) → text
pub(crate) fn temporal_to_text(rows: &Rows) -> KernelResult {
    let values = rows.clocks(0)?;
    let format = rows.texts(1)?;
    let zone = rows.zone(2)?;
    let mut formats = Formats::default();
    rows.build_texts(|row| match (values.get(row, zone), format.get(row)) {
        (Some(clock), Some(format)) => {
            Ok(Some(write(clock.wall, clock.offset / 60, formats.split(format))))
        }
        _ => Ok(None),
    })
}
