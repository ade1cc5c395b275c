#![allow(clippy::unwrap_used)]
use arrow::array::{
    Decimal128Array, Int32Array, Int64Array, ListArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Float32Type;

use super::*;

fn convert(column: Column, range: Option<(i128, i128)>, array: ArrayRef) -> RecordBatch {
    let layout = ArrowLayout::new(std::slice::from_ref(&column), &[range]);
    let schema = Arc::new(Schema::new(vec![Field::new("c", array.data_type().clone(), true)]));
    layout.convert(&RecordBatch::try_new(schema, vec![array]).unwrap()).unwrap()
}

#[test]
fn fixed_takes_one_width_from_the_whole_result() {
    let column = Column::new("A", SqlType::Number { precision: 18, scale: 0 }, true);
    // These rows alone would fit in int8; the result's range asks for int16.
    let batch =
        convert(column, Some((0, 999)), Arc::new(Int64Array::from(vec![Some(1), None, Some(-7)])));
    let array = batch.column(0).as_primitive::<Int16Type>();
    assert_eq!((array.value(0), array.value(2)), (1, -7));
    assert!(array.is_null(1));
    let metadata = batch.schema().field(0).metadata().clone();
    assert_eq!(metadata["logicalType"], "FIXED");
    assert_eq!(metadata["precision"], "18");
    assert_eq!(metadata["scale"], "0");
}

#[test]
fn decimals_travel_unscaled_or_as_decimal128() {
    let column = Column::new("A", SqlType::Number { precision: 12, scale: 2 }, true);
    let values = || {
        Arc::new(
            Decimal128Array::from(vec![Some(1_234_567), Some(-5)])
                .with_precision_and_scale(12, 2)
                .unwrap(),
        )
    };
    let batch = convert(column.clone(), Some((-5, 1_234_567)), values());
    assert_eq!(batch.column(0).as_primitive::<Int32Type>().values(), &[1_234_567, -5]);

    let wide = Column::new("A", SqlType::Number { precision: 38, scale: 2 }, true);
    let batch = convert(wide, Some((-5, i128::from(i64::MAX) * 10)), values());
    assert_eq!(batch.column(0).data_type(), &DataType::Decimal128(38, 2));
}

#[test]
fn timestamps_at_scale_nine_split_into_seconds_and_nanos() {
    let column = Column::new("T", SqlType::TIMESTAMP_NTZ, true);
    // 9999-12-31 23:59:59.999999 does not fit int64 nanoseconds.
    let batch = convert(
        column,
        None,
        Arc::new(TimestampMicrosecondArray::from(vec![
            Some(253_402_300_799_999_999),
            Some(-1),
            None,
        ])),
    );
    let parts = batch.column(0).as_struct();
    let epoch = parts.column(0).as_primitive::<Int64Type>();
    let fraction = parts.column(1).as_primitive::<Int32Type>();
    assert_eq!((epoch.value(0), fraction.value(0)), (253_402_300_799, 999_999_000));
    assert_eq!((epoch.value(1), fraction.value(1)), (-1, 999_999_000));
    assert!(parts.is_null(2));
}

#[test]
fn low_scales_are_ticks_of_the_scale() {
    let column = Column::new(
        "T",
        SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 3, nanos: false },
        true,
    );
    let array = TimestampMicrosecondArray::from(vec![1_704_074_584_123_000]).with_timezone("UTC");
    let batch = convert(column, None, Arc::new(array));
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 1_704_074_584_123);
    assert_eq!(batch.schema().field(0).metadata()["logicalType"], "TIMESTAMP_LTZ");
}

#[test]
fn zoned_timestamps_carry_minutes_plus_1440() {
    let SqlType::Timestamp { .. } = SqlType::TIMESTAMP_TZ else { unreachable!() };
    let DataType::Struct(fields) = SqlType::TIMESTAMP_TZ.to_arrow() else { unreachable!() };
    let array = StructArray::try_new(
        fields,
        vec![
            Arc::new(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC")),
            Arc::new(Int32Array::from(vec![-480])),
        ],
        None,
    )
    .unwrap();
    let batch = convert(Column::new("T", SqlType::TIMESTAMP_TZ, true), None, Arc::new(array));
    let parts = batch.column(0).as_struct();
    assert_eq!(parts.column(0).as_primitive::<Int64Type>().value(0), 1);
    assert_eq!(parts.column(1).as_primitive::<Int32Type>().value(0), 500_000_000);
    assert_eq!(parts.column(2).as_primitive::<Int32Type>().value(0), 960);
    assert_eq!(batch.schema().field(0).metadata()["byteLength"], "16");
}

#[test]
fn text_views_become_utf8_and_bare_nulls_too() {
    let batch = convert(
        Column::new("S", SqlType::TEXT, true),
        None,
        Arc::new(StringViewArray::from(vec![Some("a long enough string to be out of line"), None])),
    );
    assert_eq!(batch.column(0).data_type(), &DataType::Utf8);
    assert_eq!(batch.column(0).as_string::<i32>().value(0).len(), 38);
    let batch =
        convert(Column::new("N", SqlType::Null, true), None, new_null_array(&DataType::Null, 2));
    assert_eq!(batch.column(0).data_type(), &DataType::Utf8);
    assert_eq!(batch.column(0).null_count(), 2);
}

#[test]
fn vectors_keep_their_slots_under_nulls_and_name_their_item() {
    let array = ListArray::from_iter_primitive::<Float32Type, _, _>(vec![
        Some(vec![Some(1.0), Some(2.0)]),
        None,
        Some(vec![Some(3.0), Some(4.0)]),
    ]);
    let sql_type = SqlType::Vector { element: VectorElement::Float, dimension: 2 };
    let batch = convert(Column::new("V", sql_type, true), None, Arc::new(array));
    let list = batch.column(0).as_fixed_size_list();
    assert_eq!(list.values().len(), 6);
    assert_eq!(list.value(2).as_primitive::<Float32Type>().values(), &[3.0, 4.0]);
    let DataType::FixedSizeList(item, 2) = list.data_type() else { unreachable!() };
    assert_eq!(item.metadata()["logicalType"], "REAL");
}
