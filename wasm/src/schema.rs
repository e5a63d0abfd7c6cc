//! The schema of a result: columns of plain layout, in which every value has bytes of its own.
//!
//! Views, dictionaries and run-ends are refused because a few bytes of them can stand for any number of rows, which whoever
//! reads them has to find room for. So are columns without bytes (nulls, structs and binaries of nothing).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use arrow::ipc;

use crate::limits::{FIELDS_MAX, NAMES_BYTES_MAX, NESTING_MAX};

/// Reads a verified flatbuffer. Metadata of the schema and of its fields is left out.
///
/// # Errors
///
/// If it has no columns, too many, or one of a type that is not accepted.
pub fn read(schema: ipc::Schema<'_>) -> Result<Schema, String> {
    if schema.endianness() != ipc::Endianness::Little {
        return Err("its numbers are not little-endian".to_owned());
    }
    let columns = schema.fields().into_iter().flatten();
    let mut budget = Budget { fields: FIELDS_MAX, name_bytes: NAMES_BYTES_MAX };
    let fields = columns.map(|column| budget.field(column, NESTING_MAX)).collect::<Result<Fields, String>>()?;
    if fields.is_empty() {
        return Err("it has no columns".to_owned());
    }
    Ok(Schema::new(fields))
}

/// What a schema may still name. Parts of a flatbuffer can be shared, so that its size bounds nothing.
struct Budget {
    fields: usize,
    name_bytes: usize,
}

impl Budget {
    fn field(&mut self, field: ipc::Field<'_>, levels: usize) -> Result<Field, String> {
        let name = field.name().unwrap_or_default();
        self.fields = self.fields.checked_sub(1).ok_or_else(|| format!("it has more than {FIELDS_MAX} columns"))?;
        self.spend(name)?;
        if field.dictionary().is_some() {
            return Err(format!("its column `{name}` is a dictionary; write its values"));
        }
        let data_type = match field.type_type() {
            ipc::Type::List | ipc::Type::LargeList | ipc::Type::Struct_ => self.nested(field, levels)?,
            _ => self.flat(field)?,
        };
        let refused = || format!("its column `{name}` is of the type {:?}, which is not accepted", field.type_type());
        Ok(Field::new(name, data_type.ok_or_else(refused)?, field.nullable()))
    }

    fn spend(&mut self, text: &str) -> Result<(), String> {
        let too_long = || format!("the names of its columns have more than {NAMES_BYTES_MAX} bytes");
        self.name_bytes = self.name_bytes.checked_sub(text.len()).ok_or_else(too_long)?;
        Ok(())
    }

    fn nested(&mut self, field: ipc::Field<'_>, levels: usize) -> Result<Option<DataType>, String> {
        let levels = levels.checked_sub(1).ok_or_else(|| format!("it has more than {NESTING_MAX} levels"))?;
        let children = field.children().into_iter().flatten();
        let children = children.map(|child| self.field(child, levels)).collect::<Result<Vec<Field>, String>>()?;
        Ok(match (field.type_type(), children.as_slice()) {
            (ipc::Type::List, [item]) => Some(DataType::List(Arc::new(item.clone()))),
            (ipc::Type::LargeList, [item]) => Some(DataType::LargeList(Arc::new(item.clone()))),
            (ipc::Type::Struct_, [_, ..]) => Some(DataType::Struct(children.into())),
            _ => None,
        })
    }

    fn flat(&mut self, field: ipc::Field<'_>) -> Result<Option<DataType>, String> {
        Ok(match field.type_type() {
            ipc::Type::Bool => Some(DataType::Boolean),
            ipc::Type::Int => field.type_as_int().and_then(integer),
            ipc::Type::FloatingPoint => field.type_as_floating_point().and_then(float),
            ipc::Type::Decimal => field.type_as_decimal().and_then(decimal),
            ipc::Type::Utf8 => Some(DataType::Utf8),
            ipc::Type::LargeUtf8 => Some(DataType::LargeUtf8),
            ipc::Type::Binary => Some(DataType::Binary),
            ipc::Type::LargeBinary => Some(DataType::LargeBinary),
            ipc::Type::FixedSizeBinary => field.type_as_fixed_size_binary().and_then(fixed_size_binary),
            ipc::Type::Date => field.type_as_date().and_then(date),
            ipc::Type::Time => field.type_as_time().and_then(time),
            ipc::Type::Timestamp => return self.timestamp(field),
            ipc::Type::Duration => field.type_as_duration().and_then(|it| unit(it.unit())).map(DataType::Duration),
            ipc::Type::Interval => field.type_as_interval().and_then(interval),
            _ => None,
        })
    }

    fn timestamp(&mut self, field: ipc::Field<'_>) -> Result<Option<DataType>, String> {
        let Some(timestamp) = field.type_as_timestamp() else { return Ok(None) };
        self.spend(timestamp.timezone().unwrap_or_default())?;
        let zone = timestamp.timezone().map(Into::into);
        Ok(unit(timestamp.unit()).map(|unit| DataType::Timestamp(unit, zone)))
    }
}

fn integer(int: ipc::Int<'_>) -> Option<DataType> {
    match (int.bitWidth(), int.is_signed()) {
        (8, true) => Some(DataType::Int8),
        (8, false) => Some(DataType::UInt8),
        (16, true) => Some(DataType::Int16),
        (16, false) => Some(DataType::UInt16),
        (32, true) => Some(DataType::Int32),
        (32, false) => Some(DataType::UInt32),
        (64, true) => Some(DataType::Int64),
        (64, false) => Some(DataType::UInt64),
        _ => None,
    }
}

fn float(float: ipc::FloatingPoint<'_>) -> Option<DataType> {
    match float.precision() {
        ipc::Precision::HALF => Some(DataType::Float16),
        ipc::Precision::SINGLE => Some(DataType::Float32),
        ipc::Precision::DOUBLE => Some(DataType::Float64),
        _ => None,
    }
}

fn decimal(decimal: ipc::Decimal<'_>) -> Option<DataType> {
    let precision = u8::try_from(decimal.precision()).ok()?;
    let scale = i8::try_from(decimal.scale()).ok()?;
    if scale.unsigned_abs() > precision || precision == 0 {
        return None;
    }
    match (decimal.bitWidth(), precision) {
        (32, ..=9) => Some(DataType::Decimal32(precision, scale)),
        (64, ..=18) => Some(DataType::Decimal64(precision, scale)),
        (128, ..=38) => Some(DataType::Decimal128(precision, scale)),
        (256, ..=76) => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

fn fixed_size_binary(binary: ipc::FixedSizeBinary<'_>) -> Option<DataType> {
    (binary.byteWidth() > 0).then(|| DataType::FixedSizeBinary(binary.byteWidth()))
}

fn date(date: ipc::Date<'_>) -> Option<DataType> {
    match date.unit() {
        ipc::DateUnit::DAY => Some(DataType::Date32),
        ipc::DateUnit::MILLISECOND => Some(DataType::Date64),
        _ => None,
    }
}

fn time(time: ipc::Time<'_>) -> Option<DataType> {
    match (time.bitWidth(), unit(time.unit())?) {
        (32, unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => Some(DataType::Time32(unit)),
        (64, unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond)) => Some(DataType::Time64(unit)),
        _ => None,
    }
}

fn interval(interval: ipc::Interval<'_>) -> Option<DataType> {
    match interval.unit() {
        ipc::IntervalUnit::YEAR_MONTH => Some(DataType::Interval(IntervalUnit::YearMonth)),
        ipc::IntervalUnit::DAY_TIME => Some(DataType::Interval(IntervalUnit::DayTime)),
        ipc::IntervalUnit::MONTH_DAY_NANO => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        _ => None,
    }
}

fn unit(unit: ipc::TimeUnit) -> Option<TimeUnit> {
    match unit {
        ipc::TimeUnit::SECOND => Some(TimeUnit::Second),
        ipc::TimeUnit::MILLISECOND => Some(TimeUnit::Millisecond),
        ipc::TimeUnit::MICROSECOND => Some(TimeUnit::Microsecond),
        ipc::TimeUnit::NANOSECOND => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}
