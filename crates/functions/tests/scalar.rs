//! Scalar functions against the values of Snowflake's documentation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use frazil_common::{SqlType, TimeZoneKind};
use frazil_functions::operators::{self, BinaryOperator as Op};
use frazil_functions::{Facts, TypedExpr};
use support::*;

#[test]
fn text() {
    check! {
        CONCAT(t("a"), t("b"), t("c")) => "abc";
        CONCAT(t("a"), null()) => "NULL";
        CONCAT(t("a"), i(1)) => "a1";
        CONCAT_WS(t("-"), t("KFC"), t("x")) => "KFC-x";
        LENGTH(t("Joyeux Noël")) => "11";
        LEN(t("")) => "0";
        UPPER(t("été")) => "ÉTÉ";
        INITCAP(t("the sky IS-blue")) => "The Sky Is-Blue";
        TRIM(t("❄-❄ABC-❄-"), t("❄-")) => "ABC";
        LTRIM(t("0012"), t("0")) => "12";
        LPAD(t("123"), i(6), t("ab")) => "aba123";
        RPAD(t("123"), i(2)) => "12";
        SUBSTR(t("testing 1 2 3"), i(9), i(5)) => "1 2 3";
        SUBSTR(t("mystring"), i(0), i(2)) => "my";
        SUBSTR(t("mystring"), i(-2)) => "ng";
        SUBSTR(t("mystring"), i(-20)) => "";
        LEFT(t("ABCDEF"), i(3)) => "ABC";
        RIGHT(t("ABCDEFG"), i(3)) => "EFG";
        REPLACE(t("down"), t("down"), t("up")) => "up";
        REPLACE(t("abcabc"), t("b")) => "acac";
        SPLIT_PART(t("11.22.33"), t("."), i(0)) => "11";
        SPLIT_PART(t("11.22.33"), t("."), i(-1)) => "33";
        SPLIT_PART(t("11.22.33"), t("."), i(4)) => "";
        STRTOK(t("user@snowflake.com"), t("@."), i(2)) => "snowflake";
        STRTOK(t("a"), t("."), i(2)) => "NULL";
        CONTAINS(t("abc"), t("b")) => "true";
        STARTSWITH(t("abc"), t("ab")) => "true";
        ENDSWITH(t("abc"), null()) => "NULL";
        POSITION(t("an"), t("banana"), i(3)) => "4";
        CHARINDEX(t("x"), t("banana")) => "0";
        REVERSE(t("Hello")) => "olleH";
        REPEAT(t("xy"), i(3)) => "xyxyxy";
        ASCII(t("!")) => "33";
        CHR(i(83)) => "S";
        TRANSLATE(t("❄a❄bX❄dX❄"), t("X❄"), t("c")) => "abcdc";
        EDITDISTANCE(t("Gute nacht"), t("Ich weis nicht")) => "8";
        JAROWINKLER_SIMILARITY(t("Dwayne"), t("Duane")) => "84";
        INSERT(t("abc"), i(1), i(2), t("Z")) => "Zc";
        INSERT(t("abcdef"), i(3), i(2), t("zzz")) => "abzzzef";
        SOUNDEX(t("Marks")) => "M620";
        SPLIT(t("127.0.0.1"), t(".")) => r#"["127","0","0","1"]"#;
        MD5(t("Snowflake")) => "edf1439075a83a447fb8b630ddc9c8de";
        SHA1(t("Snowflake")) => "fda76b0bcc1e87cf259b1d1e3271d76f590fb5dd";
        SHA2(t("Snowflake"), i(224)) => "6267d3d7a59929e6864dd4b737d98e3ef8569d9f88a7466647838532";
        BASE64_ENCODE(t("Snowflake")) => "U25vd2ZsYWtl";
        BASE64_DECODE_STRING(t("U25vd2ZsYWtl")) => "Snowflake";
        HEX_ENCODE(t("HELLO")) => "48454C4C4F";
        HEX_DECODE_STRING(t("48454C4C4F")) => "HELLO";
        TRY_HEX_DECODE_STRING(t("4")) => "NULL";
    }
    assert_eq!(show("COLLATE", vec![t("a"), t("en")]), code(2));
    assert_eq!(show("LEFT", vec![t("a")]), code(938));
    assert_eq!(show("UUID_STRING", vec![]).len(), 36);
}

#[test]
fn regular_expressions() {
    check! {
        REGEXP_LIKE(t("Sacramento"), t("san.*"), t("i")) => "false";
        REGEXP_LIKE(t("San Francisco"), t("San.*")) => "true";
        REGEXP_LIKE(t("San Francisco"), t("Fran")) => "false";
        REGEXP_COUNT(t("It was the best of times, it was the worst of times"), t("\\bwas\\b"), i(1)) => "2";
        REGEXP_REPLACE(t("Customers - (NY)"), t("\\(|\\)"), t("")) => "Customers - NY";
        REGEXP_REPLACE(t("firstname middlename lastname"), t("(.*) (.*) (.*)"), t("\\3, \\1 \\2")) => "lastname, firstname middlename";
        REGEXP_SUBSTR(t("Hellooo World"), t("(\\S)o+\\b"), i(1), i(1), t("e"), i(1)) => "l";
        REGEXP_SUBSTR(t("abc"), t("x")) => "NULL";
        REGEXP_INSTR(t("It was the best of times"), t("the\\W+\\w+")) => "8";
        REGEXP_SUBSTR_ALL(t("a1_a2a3_a4"), t("a[[:digit:]]")) => r#"["a1","a2","a3","a4"]"#;
    }
    assert_eq!(show("REGEXP_LIKE", vec![t("a"), t("(")]), code(100048));
    let like = |value: &str, pattern: &str, escape: Option<char>, fold: bool| {
        shown(operators::like(t(value), t(pattern), escape, fold, false, &Facts::default()))
    };
    assert_eq!(like("John  Dddoe", "Jo%oe", None, false), "true");
    assert_eq!(like("100%", "100^%", Some('^'), false), "true");
    assert_eq!(like("1000", "100^%", Some('^'), false), "false");
    assert_eq!(like("JOHN", "jo%", None, true), "true");
    assert_eq!(like("a\\b", "a\\b", None, false), "true");
}

#[test]
fn numbers() {
    check! {
        ABS(n("-1.5")) => "1.5";
        CEIL(n("135.135"), i(1)) => "135.2";
        FLOOR(n("-135.135"), i(-1)) => "-140";
        ROUND(n("135.135"), i(2)) => "135.14";
        ROUND(n("-975.975"), i(-2)) => "-1000";
        ROUND(n("-0.5")) => "-1";
        ROUND(n("2.5"), i(0), t("HALF_TO_EVEN")) => "2";
        ROUND(f(2.5)) => "3";
        TRUNC(n("-975.975"), i(-1)) => "-970";
        MOD(i(3), n("4.5")) => "3.0";
        SIGN(f(-2.0)) => "-1";
        SQRT(i(2)) => "1.4142135623730951";
        CBRT(i(27)) => "3";
        POWER(i(2), i(10)) => "1024";
        LOG(i(10), i(1000)) => "3";
        LN(i(1)) => "0";
        FACTORIAL(i(33)) => "8683317618811886495518194401280000000";
        GREATEST(i(1), i(3), i(0)) => "3";
        GREATEST(i(1), null()) => "NULL";
        LEAST(n("1.5"), i(3)) => "1.5";
        GREATEST_IGNORE_NULLS(i(1), null(), i(2)) => "2";
        DIV0(i(1), i(0)) => "0.000000";
        DIV0NULL(i(3), null()) => "0.000000";
        WIDTH_BUCKET(i(25), i(0), i(100), i(4)) => "2";
        BITAND(i(12), i(10)) => "8";
        BITSHIFTLEFT(i(1), i(4)) => "16";
        BITNOT(i(5)) => "-6";
        HAVERSINE(n("40.7127"), n("-74.0059"), n("34.0500"), n("-118.2500")) => "3936.385096389294";
    }
    assert_eq!(show("SQRT", vec![i(-1)]), code(1008));
    assert_eq!(show("ABS", vec![t("x")]), code(100038));
}

fn op(left: TypedExpr, op: Op, right: TypedExpr) -> (String, String) {
    let facts = Facts::default();
    let value = operators::binary(op, left, right, &facts);
    let kind = value.as_ref().map(|v| v.sql_type.to_string()).unwrap_or_default();
    (shown(value), kind)
}

fn pair(value: &str, kind: &str) -> (String, String) {
    (value.to_string(), kind.to_string())
}

#[test]
fn arithmetic_has_snowflakes_types() {
    let num = |v: &str, precision, scale| to(n(v), SqlType::Number { precision, scale });
    assert_eq!(op(n("10.123456789"), Op::Plus, i(1)), pair("11.123456789", "NUMBER(12,9)"));
    assert_eq!(
        op(num("1.10", 12, 2), Op::Multiply, num("0.95", 13, 2)),
        pair("1.0450", "NUMBER(25,4)")
    );
    assert_eq!(
        op(num("2.00", 10, 2), Op::Divide, num("7", 10, 0)),
        pair("0.28571429", "NUMBER(16,8)")
    );
    assert_eq!(op(i(1), Op::Divide, i(3)), pair("0.333333", "NUMBER(7,6)"));
    assert_eq!(op(i(2), Op::Divide, i(3)), pair("0.666667", "NUMBER(7,6)"));
    assert_eq!(op(i(-7), Op::Modulo, i(3)).0, "-1");
    assert_eq!(op(i(1), Op::Divide, i(0)).0, code(100051));
    assert_eq!(op(i(1), Op::Modulo, i(0)).0, code(100051));
    assert_eq!(op(f(1.0), Op::Divide, f(0.0)).0, code(100051));
    let huge = n("99999999999999999999999999999999999999");
    assert_eq!(op(huge.clone(), Op::Plus, i(1)).0, code(100046));
    assert_eq!(op(huge.clone(), Op::Multiply, huge).0, code(100046));
    assert_eq!(op(t("5"), Op::Plus, i(1)).0, "6");
    assert_eq!(op(f(1.5), Op::Plus, i(1)), pair("2.5", "FLOAT"));
    assert_eq!(op(d("2024-02-28"), Op::Plus, i(2)), pair("2024-03-01", "DATE"));
    assert_eq!(op(d("2024-03-01"), Op::Minus, d("2024-02-28")), pair("2", "NUMBER(9,0)"));
    assert_eq!(op(t("a"), Op::Concat, i(5)).0, "a5");
    assert_eq!(op(i(1), Op::Concat, null()).0, "NULL");
}

#[test]
fn comparisons_meet_in_one_type() {
    assert_eq!(op(t("5"), Op::Eq, i(5)).0, "true");
    assert_eq!(op(d("2024-01-02"), Op::Gt, t("2024-01-01")).0, "true");
    assert_eq!(op(ts("2024-01-02 00:00:00"), Op::Eq, d("2024-01-02")).0, "true");
    assert_eq!(op(n("1.50"), Op::Eq, n("1.5")).0, "true");
    assert_eq!(op(b(true), Op::Eq, t("yes")).0, "true");
    assert_eq!(op(json("[1,2]"), Op::Eq, json("[1, 2]")).0, "true");
    assert_eq!(op(json("3"), Op::Lt, i(10)).0, "true");
    assert_eq!(op(null(), Op::Eq, i(1)).0, "NULL");
    let facts = Facts::default();
    let tz = |text: &str| to(t(text), SqlType::TIMESTAMP_TZ);
    assert_eq!(op(tz("2024-01-01 10:00 +0000"), Op::Eq, tz("2024-01-01 12:00 +0200")).0, "true");
    let found = operators::in_list(i(2), vec![i(1), i(2)], false, &facts);
    assert_eq!(shown(found), "true");
    let found = operators::in_list(i(5), vec![i(1), null()], true, &facts);
    assert_eq!(shown(found), "NULL");
    let found = operators::between(i(5), i(1), n("5.5"), false, &facts);
    assert_eq!(shown(found), "true");
}

/// A literal takes a column's type so that the column stays bare.
#[test]
fn literals_take_the_columns_type() {
    use datafusion::logical_expr::{BinaryExpr, Expr, col};
    let facts = Facts::default();
    let bare = |sql_type: SqlType, literal: TypedExpr| {
        let column = TypedExpr::new(col("c"), sql_type, true);
        let value = operators::binary(Op::GtEq, column, literal, &facts).unwrap();
        match value.expr {
            Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
                matches!(*left, Expr::Column(_)) && matches!(*right, Expr::Literal(..))
            }
            _ => false,
        }
    };
    assert!(bare(SqlType::Date, t("1994-01-01")));
    assert!(bare(SqlType::Date, ts("1994-01-01 00:00:00")));
    assert!(!bare(SqlType::Date, ts("1994-01-01 10:00:00")));
    assert!(bare(SqlType::Number { precision: 12, scale: 2 }, n("0.05")));
    assert!(bare(SqlType::INTEGER, i(5)));
    assert!(bare(SqlType::Float, n("0.5")));
    assert!(bare(SqlType::TIMESTAMP_NTZ, t("1994-01-01")));
    assert!(!bare(SqlType::Number { precision: 10, scale: 0 }, n("1.5")));
}

#[test]
fn conditions() {
    check! {
        IFF(b(true), i(1), n("2.5")) => "1.0";
        IFNULL(null(), i(3)) => "3";
        NVL2(null(), i(1), i(2)) => "2";
        COALESCE(null(), null(), t("x")) => "x";
        NULLIF(i(1), i(1)) => "NULL";
        NULLIFZERO(i(0)) => "NULL";
        ZEROIFNULL(null()) => "0";
        DECODE(null(), i(1), t("one"), null(), t("none"), t("else")) => "none";
        DECODE(i(3), i(1), t("one")) => "NULL";
        EQUAL_NULL(null(), null()) => "true";
        BOOLXOR(b(true), i(0)) => "true";
        BOOLNOT(i(0)) => "true";
        REGR_VALX(null(), i(10)) => "NULL";
        REGR_VALX(i(1), i(10)) => "10";
    }
}

#[test]
fn dates() {
    check! {
        DATE_TRUNC(t("week"), d("2024-05-09")) => "2024-05-06";
        DATE_TRUNC(t("hour"), ts("2015-05-08 23:39:20.123")) => "2015-05-08 23:00:00.000";
        TRUNC(d("2015-05-08"), t("MONTH")) => "2015-05-01";
        DATEADD(t("month"), i(1), d("2023-01-31")) => "2023-02-28";
        DATEADD(t("hour"), i(2), d("2013-05-08")) => "2013-05-08 02:00:00.000";
        DATEADD(t("year"), i(2), t("2013-05-08")) => "2015-05-08";
        DATEDIFF(t("year"), d("2010-04-09"), t("2013-05-08")) => "3";
        DATEDIFF(t("hour"), t("2013-05-08T23:39:20.123-07:00"), t("2013-05-09T23:39:20.123-07:00")) => "24";
        DATEDIFF(t("month"), d("2021-01-31"), d("2021-02-01")) => "1";
        DATE_PART(t("quarter"), d("2024-04-08")) => "2";
        DATE_PART(t("epoch_second"), ts("2024-04-08T23:39:20.123")) => "1712619560";
        YEAR(d("2016-01-01")) => "2016";
        YEAROFWEEK(d("2016-01-01")) => "2015";
        WEEKISO(d("2016-01-01")) => "53";
        DAYOFWEEK(d("2013-08-04")) => "0";
        DAYOFWEEKISO(d("2013-08-04")) => "7";
        DAYOFYEAR(d("2013-05-08")) => "128";
        LAST_DAY(d("2015-05-08")) => "2015-05-31";
        LAST_DAY(d("2015-05-08"), t("year")) => "2015-12-31";
        NEXT_DAY(d("2024-05-09"), t("Friday")) => "2024-05-10";
        PREVIOUS_DAY(d("2024-05-10"), t("fr")) => "2024-05-03";
        ADD_MONTHS(d("2016-05-15"), i(2)) => "2016-07-15";
        ADD_MONTHS(d("2016-02-29"), i(1)) => "2016-03-31";
        MONTHS_BETWEEN(d("2019-03-01"), d("2019-02-15")) => "0.548387";
        MONTHS_BETWEEN(d("2019-02-28"), d("2019-01-31")) => "1";
        DAYNAME(d("2015-05-01")) => "Fri";
        MONTHNAME(d("2015-05-01")) => "May";
        DATE_FROM_PARTS(i(2004), i(1), i(-1)) => "2003-12-30";
        TIME_FROM_PARTS(i(12), i(34), i(56)) => "12:34:56";
        TIMESTAMP_NTZ_FROM_PARTS(i(2013), i(4), i(5), i(12), i(0), i(0), i(987654321)) => "2013-04-05 12:00:00.987";
        TO_DATE(t("2012.07.23"), t("YYYY.MM.DD")) => "2012-07-23";
        TO_DATE(t("31536000000")) => "1971-01-01";
        TRY_TO_DATE(t("2013-02-30")) => "NULL";
        TO_TIME(t("13:30:00")) => "13:30:00";
        TO_TIMESTAMP(i(1487654321)) => "2017-02-21 05:18:41.000";
        TO_TIMESTAMP(i(1487654321456), i(3)) => "2017-02-21 05:18:41.456";
        TO_TIMESTAMP_TZ(t("04/05/2013 01:02:03"), t("mm/dd/yyyy hh24:mi:ss")) => "2013-04-05 01:02:03.000 +0000";
        TO_TIMESTAMP(t("05/Mar/2024"), t("DD/MON/YYYY")) => "2024-03-05 00:00:00.000";
        CONVERT_TIMEZONE(t("America/Los_Angeles"), t("America/New_York"), ts("2024-01-01 14:00:00")) => "2024-01-01 17:00:00.000";
        CONVERT_TIMEZONE(t("Asia/Tokyo"), to(t("2024-01-01 00:00:00 +0000"), SqlType::TIMESTAMP_TZ)) => "2024-01-01 09:00:00.000 +0900";
        TIME_SLICE(d("2019-02-28"), i(4), t("MONTH"), t("START")) => "2019-01-01";
        TIME_SLICE(d("2019-02-28"), i(4), t("MONTH"), t("END")) => "2019-05-01";
        CURRENT_DATE() => "2025-06-15";
    }
    assert_eq!(show("TO_DATE", vec![t("x")]), code(100040));
    assert_eq!(show("TO_TIMESTAMP", vec![t("x")]), code(100035));
    assert_eq!(show("DATE_PART", vec![t("eon"), d("2024-01-01")]), code(1008));
}

#[test]
fn zones_follow_the_session() {
    let facts = Facts { timezone: chrono_tz::Tz::America__Los_Angeles, ..Facts::default() };
    let cast = |value, to: &SqlType| {
        frazil_functions::cast::cast(value, to, frazil_functions::cast::CastMode::Explicit, &facts)
    };
    let ltz = cast(t("2024-07-01 12:00:00"), &SqlType::TIMESTAMP_LTZ).unwrap();
    assert_eq!(shown(cast(ltz.clone(), &SqlType::TEXT)), "2024-07-01 12:00:00.000 -0700");
    let ntz = cast(ltz, &SqlType::TIMESTAMP_NTZ).unwrap();
    assert_eq!(shown(cast(ntz, &SqlType::TEXT)), "2024-07-01 12:00:00.000");
    let tz = cast(t("2024-07-01 12:00:00 +02:00"), &SqlType::TIMESTAMP_TZ).unwrap();
    let short = SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 0, nanos: false };
    let ltz = cast(tz.clone(), &short).unwrap();
    assert_eq!(shown(cast(ltz, &SqlType::TEXT)), "2024-07-01 03:00:00.000 -0700");
    assert_eq!(shown(cast(tz, &SqlType::Date)), "2024-07-01");
    assert_eq!(
        shown(Ok(to(t("9999-12-31 23:59:59"), SqlType::TIMESTAMP_NTZ))),
        "9999-12-31 23:59:59.000"
    );
}

#[test]
fn conversions() {
    check! {
        TO_CHAR(n("12.30")) => "12.30";
        TO_CHAR(n("1234.5"), t("9,999.00")) => " 1,234.50";
        TO_CHAR(d("2013-04-05"), t("mon dd, yyyy")) => "Apr 05, 2013";
        TO_CHAR(ts("2013-04-05 01:02:03"), t("mm/dd/yyyy, hh24:mi hours")) => "04/05/2013, 01:02 hours";
        TO_NUMBER(t("12.3456")) => "12";
        TO_NUMBER(t("98.76546"), i(10), i(1)) => "98.8";
        TO_NUMBER(t("$12.3"), t("$99.0"), i(10), i(2)) => "12.30";
        TRY_TO_NUMBER(t("x")) => "NULL";
        TO_DOUBLE(t("1.5e3")) => "1500";
        TO_BOOLEAN(t("Off")) => "false";
        TRY_TO_BOOLEAN(t("maybe")) => "NULL";
        TO_BINARY(t("SNOW"), t("utf-8")) => "534E4F57";
        TO_VARCHAR(f(0.1)) => "0.1";
        TO_ARRAY(i(1)) => "[1]";
    }
    assert_eq!(show("TO_NUMBER", vec![t("abc")]), code(100038));
    assert_eq!(show("TO_BOOLEAN", vec![t("maybe")]), code(100037));
    let long = SqlType::Varchar { length: 2 };
    assert_eq!(shown(Ok(to(t("abc"), long.clone()))), "ab");
    let implicit = frazil_functions::cast::cast(
        t("abc"),
        &long,
        frazil_functions::cast::CastMode::Implicit,
        &Facts::default(),
    );
    assert_eq!(shown(implicit), code(100078));
    let small = SqlType::Number { precision: 3, scale: 1 };
    assert_eq!(shown(Ok(to(n("99.95"), SqlType::Number { precision: 4, scale: 1 }))), "100.0");
    assert_eq!(shown(Ok(to(n("99.95"), small))), code(100046));
    assert_eq!(
        shown(Ok(to(f(0.1), SqlType::Number { precision: 38, scale: 20 }))),
        "0.10000000000000000000"
    );
    assert_eq!(shown(Ok(to(n("2.5"), SqlType::INTEGER))), "3");
    assert_eq!(shown(Ok(to(b(true), SqlType::TEXT))), "true");
    assert_eq!(shown(Ok(to(n("-0.5"), SqlType::TEXT))), "-0.5");
}

#[test]
fn semi_structured() {
    check! {
        PARSE_JSON(t("{\"b\": 1, \"a\": [null, 2.50]}")) => r#"{"a":[null,2.50],"b":1}"#;
        TRY_PARSE_JSON(t("{x")) => "NULL";
        TYPEOF(json("1.5")) => "DECIMAL";
        TYPEOF(json("null")) => "NULL_VALUE";
        OBJECT_CONSTRUCT(t("b"), i(1), t("a"), t("x"), t("n"), null()) => r#"{"a":"x","b":1}"#;
        OBJECT_CONSTRUCT_KEEP_NULL(t("n"), null()) => r#"{"n":null}"#;
        OBJECT_INSERT(json("{\"a\":1}"), t("b"), i(2)) => r#"{"a":1,"b":2}"#;
        OBJECT_INSERT(json("{\"a\":1}"), t("a"), i(2), b(true)) => r#"{"a":2}"#;
        OBJECT_DELETE(json("{\"a\":1,\"b\":2}"), t("a")) => r#"{"b":2}"#;
        OBJECT_PICK(json("{\"a\":1,\"b\":2}"), t("a")) => r#"{"a":1}"#;
        OBJECT_KEYS(json("{\"b\":1,\"a\":2}")) => r#"["a","b"]"#;
        ARRAY_SIZE(json("[1,2,3]")) => "3";
        ARRAY_CONSTRUCT(i(1), t("x"), n("2.50")) => r#"[1,"x",2.5]"#;
        ARRAY_CONTAINS(to(t("hi"), SqlType::Variant), json("[\"hello\",\"hi\"]")) => "true";
        ARRAY_POSITION(to(t("hi"), SqlType::Variant), json("[\"hello\",\"hi\"]")) => "1";
        ARRAY_APPEND(json("[1]"), i(2)) => "[1,2]";
        ARRAY_CAT(json("[1]"), json("[2]")) => "[1,2]";
        ARRAY_SLICE(json("[0,1,2,3]"), i(0), i(-1)) => "[0,1,2]";
        ARRAY_DISTINCT(json("[1,2,1]")) => "[1,2]";
        ARRAY_INTERSECTION(json("[\"A\",\"B\"]"), json("[\"B\",\"C\"]")) => r#"["B"]"#;
        ARRAY_TO_STRING(json("[1,2]"), t(",")) => "1,2";
        ARRAY_CONSTRUCT() => "[]";
        OBJECT_CONSTRUCT() => "{}";
        ARRAY_SORT(json("[20,0,null,10]")) => "[0,10,20,null]";
        ARRAY_FLATTEN(json("[[1],[2,3]]")) => "[1,2,3]";
        ARRAY_INSERT(json("[0,1,3]"), i(2), i(2)) => "[0,1,2,3]";
        ARRAY_GENERATE_RANGE(i(5), i(25), i(10)) => "[5,15]";
        ARRAY_MAX(json("[3,1,2]")) => "3";
        GET(json("[\"x\",\"y\"]"), i(1)) => "y";
        GET(json("{\"a\":5}"), t("A")) => "NULL";
        GET_IGNORE_CASE(json("{\"aA\":5}"), t("AA")) => "5";
        GET_PATH(json("{\"a\":{\"b\":[{\"c d\":7}]}}"), t("a.b[0]['c d']")) => "7";
        IS_INTEGER(json("5")) => "true";
        IS_NULL_VALUE(json("null")) => "true";
        AS_INTEGER(json("\"x\"")) => "NULL";
        AS_VARCHAR(json("\"x\"")) => "x";
        STRIP_NULL_VALUE(json("null")) => "NULL";
        CHECK_JSON(t("{}")) => "NULL";
        TO_JSON(json("\"x\"")) => "\"x\"";
    }
    assert_eq!(show("PARSE_JSON", vec![t("{x")]), code(100069));
    assert_eq!(shown(Ok(to(json("\"7\""), SqlType::INTEGER))), "7");
    assert_eq!(shown(Ok(to(json("{}"), SqlType::INTEGER))), code(100071));
    assert_eq!(shown(Ok(to(json("null"), SqlType::TEXT))), "NULL");
    let step = operators::path_get(json("{\"a\":{\"b\":1}}"), "a").unwrap();
    assert_eq!(shown(operators::path_get(step, "b")), "1");
}

#[test]
fn session_facts() {
    let facts = Facts {
        database: Some("DB".into()),
        last_query_ids: std::sync::Arc::new(["first".to_string(), "last".to_string()].into()),
        ..Facts::default()
    };
    let bind = |name: &str, args| shown(frazil_functions::scalar(name).unwrap().bind(args, &facts));
    assert_eq!(bind("CURRENT_DATABASE", vec![]), "DB");
    assert_eq!(bind("CURRENT_SCHEMA", vec![]), "NULL");
    assert_eq!(bind("LAST_QUERY_ID", vec![]), "last");
    assert_eq!(bind("LAST_QUERY_ID", vec![i(1)]), "first");
    assert_eq!(bind("LAST_QUERY_ID", vec![i(-9)]), "NULL");
    assert_eq!(bind("CURRENT_ROLE", vec![i(1)]), code(939));
}
