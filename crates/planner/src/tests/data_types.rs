//! No part of a data type is dropped in silence: each makes a difference or is refused. The parser's
//! source tells the variants, and a new one fails the test; their arguments are listed by hand.

use std::collections::{BTreeMap, BTreeSet};

use frazil_syntax_tree::{Node, PartOf, Types};
use sqlparser::ast::{
    ArrayElemTypeDef as Element, BinaryLength, CharLengthUnits, CharacterLength, DataType as D,
    EnumMember, ExactNumberInfo as Exact, GeometricTypeKind, Ident, IntervalFields, ObjectName,
    StructBracketKind, TimezoneInfo as Zone,
};

use crate::sql_type;

const WHOLE: &[&str] = &["Expr", "ColumnDef", "StructField", "UnionField", "ObjectName"];

fn custom(name: &str, arguments: &[&str]) -> D {
    D::Custom(
        ObjectName::from(Ident::new(name)),
        arguments.iter().map(|argument| argument.to_string()).collect(),
    )
}

fn characters(length: u64) -> Option<CharacterLength> {
    Some(CharacterLength::IntegerLength { length, unit: None })
}

/// Types that differ in one argument, and so name different SQL types.
fn used() -> Vec<Vec<D>> {
    let numbers = [Exact::None, Exact::Precision(9), Exact::PrecisionAndScale(9, 2)];
    let lengths = || [None, characters(7)];
    vec![
        numbers.iter().copied().map(D::Numeric).collect(),
        numbers.iter().copied().map(D::Decimal).collect(),
        numbers.iter().copied().map(D::Dec).collect(),
        lengths().map(D::Varchar).to_vec(),
        lengths().map(D::Nvarchar).to_vec(),
        lengths().map(D::CharVarying).to_vec(),
        lengths().map(D::CharacterVarying).to_vec(),
        lengths().map(D::Char).to_vec(),
        lengths().map(D::Character).to_vec(),
        [None, Some(7)].map(D::String).to_vec(),
        [None, Some(7)].map(D::Binary).to_vec(),
        [None, Some(BinaryLength::IntegerLength { length: 7 })].map(D::Varbinary).to_vec(),
        [None, Some(3)].map(|scale| D::Time(scale, Zone::None)).to_vec(),
        [None, Some(3)].map(D::Datetime).to_vec(),
        [None, Some(3)].map(D::TimestampNtz).to_vec(),
        vec![
            D::Timestamp(None, Zone::None),
            D::Timestamp(Some(3), Zone::None),
            D::Timestamp(None, Zone::WithTimeZone),
        ],
        vec![custom("NUMBER", &[]), custom("NUMBER", &["9"]), custom("NUMBER", &["9", "2"])],
        vec![custom("VECTOR", &["FLOAT", "3"]), custom("VECTOR", &["INT", "3"])],
    ]
}

/// Types without arguments, and arguments that say what their absence says.
fn plain() -> Vec<D> {
    vec![
        D::TinyInt(None),
        D::SmallInt(None),
        D::Int(None),
        D::Integer(None),
        D::BigInt(None),
        D::Int2(None),
        D::Int4(None),
        D::Int8(None),
        D::Float(Exact::None),
        D::Double(Exact::None),
        D::DoublePrecision,
        D::Float4,
        D::Float8,
        D::Float64,
        D::Real,
        D::Bool,
        D::Boolean,
        D::Text,
        D::Date,
        D::Array(Element::None),
        D::Varchar(Some(CharacterLength::Max)),
        D::Varbinary(Some(BinaryLength::Max)),
        D::Time(None, Zone::WithoutTimeZone),
        D::Timestamp(None, Zone::WithoutTimeZone),
        D::Timestamp(None, Zone::Tz),
    ]
}

fn refused() -> Vec<D> {
    let boxed = || Box::new(D::Date);
    let unit = |unit| Some(CharacterLength::IntegerLength { length: 3, unit: Some(unit) });
    vec![
        D::Varchar(unit(CharLengthUnits::Characters)),
        D::Varchar(unit(CharLengthUnits::Octets)),
        D::Time(None, Zone::WithTimeZone),
        D::Time(None, Zone::Tz),
        D::TinyInt(Some(3)),
        D::SmallInt(Some(3)),
        D::Int(Some(3)),
        D::Integer(Some(3)),
        D::BigInt(Some(3)),
        D::Int2(Some(3)),
        D::Int4(Some(3)),
        D::Int8(Some(3)),
        D::Float(Exact::Precision(3)),
        D::Double(Exact::Precision(3)),
        custom("NUMBER", &["9", "2", "1"]),
        custom("VARIANT", &["1"]),
        custom("NO_SUCH_TYPE", &[]),
        D::Array(Element::AngleBracket(boxed())),
        D::Array(Element::SquareBracket(boxed(), None)),
        D::Array(Element::Parenthesis(boxed())),
        D::Table(None),
        D::NamedTable { name: ObjectName::from(Ident::new("t")), columns: Vec::new() },
        D::Uuid,
        D::CharacterLargeObject(None),
        D::CharLargeObject(None),
        D::Clob(None),
        D::Blob(None),
        D::TinyBlob,
        D::MediumBlob,
        D::LongBlob,
        D::Bytes(None),
        D::DecimalUnsigned(Exact::None),
        D::BigNumeric(Exact::None),
        D::BigDecimal(Exact::None),
        D::DecUnsigned(Exact::None),
        D::FloatUnsigned(Exact::None),
        D::TinyIntUnsigned(None),
        D::UTinyInt,
        D::Int2Unsigned(None),
        D::SmallIntUnsigned(None),
        D::USmallInt,
        D::MediumInt(None),
        D::MediumIntUnsigned(None),
        D::Int16,
        D::Int32,
        D::Int64,
        D::Int128,
        D::Int256,
        D::IntUnsigned(None),
        D::Int4Unsigned(None),
        D::IntegerUnsigned(None),
        D::HugeInt,
        D::UHugeInt,
        D::UInt8,
        D::UInt16,
        D::UInt32,
        D::UInt64,
        D::UInt128,
        D::UInt256,
        D::BigIntUnsigned(None),
        D::UBigInt,
        D::Int8Unsigned(None),
        D::Signed,
        D::SignedInteger,
        D::Unsigned,
        D::UnsignedInteger,
        D::Float32,
        D::RealUnsigned,
        D::DoubleUnsigned(Exact::None),
        D::DoublePrecisionUnsigned,
        D::Date32,
        D::Datetime64(3, None),
        D::Interval { fields: None, precision: None },
        D::Interval { fields: Some(IntervalFields::Year), precision: Some(3) },
        D::JSON,
        D::JSONB,
        D::Regclass,
        D::TinyText,
        D::MediumText,
        D::LongText,
        D::FixedString(3),
        D::Bytea,
        D::Bit(None),
        D::BitVarying(None),
        D::VarBit(None),
        D::Map(boxed(), boxed()),
        D::Tuple(Vec::new()),
        D::Nested(Vec::new()),
        D::Enum(vec![EnumMember::Name("a".into())], None),
        D::Set(vec!["a".into()]),
        D::Struct(Vec::new(), StructBracketKind::AngleBrackets),
        D::Union(Vec::new()),
        D::Nullable(boxed()),
        D::LowCardinality(boxed()),
        D::Unspecified,
        D::Trigger,
        D::AnyType,
        D::GeometricType(GeometricTypeKind::Point),
        D::TsVector,
        D::TsQuery,
    ]
}

/// The variant that a type is, as `DataType::Variant`.
fn variant(data_type: &D) -> String {
    match frazil_syntax_tree::parse(&format!("{data_type:?}")) {
        Node::Struct(name, _) | Node::Tuple(name, _) => format!("DataType::{name}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_part_of_a_data_type_is_used_or_refused() {
    let mut met: BTreeSet<String> = BTreeSet::new();
    for group in used() {
        let mut named = BTreeSet::new();
        for data_type in &group {
            let held = sql_type(data_type).unwrap_or_else(|e| panic!("{data_type}: {e}"));
            assert!(named.insert(held.to_string()), "an argument of {data_type} is dropped");
            met.insert(variant(data_type));
        }
    }
    for data_type in &plain() {
        sql_type(data_type).unwrap_or_else(|e| panic!("{data_type}: {e}"));
        met.insert(variant(data_type));
    }
    for data_type in &refused() {
        let error = sql_type(data_type).expect_err(&format!("{data_type:?} is accepted"));
        assert!(!error.message.is_empty());
        met.insert(variant(data_type));
    }
    let types = Types::of(&frazil_syntax_tree::parser(), "DataType", WHOLE);
    let all = types.parts_below("DataType", &BTreeMap::new(), |part| part == PartOf::Variant);
    let of_types = all.iter().filter(|part| part.starts_with("DataType::"));
    let missing: Vec<&String> = of_types.filter(|part| !met.contains(*part)).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}
