SELECT $1 AS "A" FROM VALUES (1,2)
SELECT * FROM (VALUES (1,'a'),(2,'b')) v(a,b)
SELECT * FROM (VALUES (1,'a'),(2,'b')) AS v(a,b) WHERE a > 1
select a, row_number() over (partition by b order by c) rn from t qualify rn = 1
select a, count(*) from t group by all
select * exclude (a, b) from t
select * exclude a from t
select * exclude (a) replace (b+1 as b) rename (c as d) from t
select * rename c as d from t
select * ilike '%x%' from t
select t.* exclude (a) from t
select a, b, from t
select * from t sample (10)
select * from t tablesample bernoulli (3.5) seed (5)
select * from t sample row (10 rows)
select * from t sample system (10) repeatable (3)
select * from t as x tablesample (10)
select * from t, lateral flatten(input => t.v) f
select f.value:a::int from t, lateral flatten(input => t.v:items, path => 'x', outer => true, recursive => false, mode => 'ARRAY') as f
select * from table(flatten(input => parse_json('[1,2]')))
select * from table(flatten(parse_json('[1,2]'))) as f
select seq4(), uniform(1, 10, random()) from table(generator(rowcount => 10, timelimit => 5)) v
select * from table(result_scan('0-1'))
select * from table(result_scan(last_query_id()))
select * from t at (timestamp => '2020-01-01'::timestamp)
select * from t at(offset => -60*5) as x
select * from t before(statement => '8e5d0ca9')
select * from t at (timestamp => to_timestamp('x')) join u before(offset => -60) on t.a=u.a
select * from t changes(information => default) at(offset => -60)
select $1, t.$2:a from @stage/dir/x.csv.gz (file_format => 'x', pattern => '.*') t
select $1 from '@"DB"."S"."stage"/path' (file_format => 'x')
select $1 from @"DB"."S"."stage"/path/a
select metadata$filename, $1:"a b"::NUMBER(38, 0) from @~/x
select a:b.c[0]::int, a['b']['c'], a[0], a:b:c, a:"x y".z, t.a:b, (parse_json(x)):a from t
select $$it's$$, 'a\'b', 'a''b', 'x\ty'
select * from t where a ilike any ('%a%','b%')
select * from t where a like all ('%a%','b%') or b not like any ('x') or c like any ('a') escape '\\'
select * from t where a rlike '.*' or a regexp 'x' or not a ilike 'b' escape '!'
select x::NUMBER(38, 0), 1 :: INT, x::varchar(10), x::timestamp_ntz(9), x::vector(float, 3), x::variant, x::array, x::object, x::double precision, x::time(3), x::binary(10)
select * from t pivot(sum(amount) for month in ('JAN','FEB')) as p (id, jan, feb) order by id
select * from t pivot(sum(amount) for month in (any order by month))
select * from t unpivot(sales for month in (jan, feb))
select * from a asof join b match_condition (a.t >= b.t) on a.id = b.id
select * from a asof join b match_condition (a.t >= b.t) using (id)
select * from t start with id = 1 connect by prior id = parent
select a, b, sum(c) from t group by grouping sets ((a), (b), ())
select a, sum(c) from t group by cube(a,b), rollup(c,d)
select listagg(a, ',') within group (order by a desc) from t
select percentile_cont(0.5) within group (order by a) over (partition by b) from t
select sum(a) over w, avg(a) over (w rows between unbounded preceding and current row) from t window w as (partition by b order by c)
select first_value(a) ignore nulls over (order by b), lag(a, 1) ignore nulls over (order by b), first_value(a ignore nulls) over (order by b) from t
select current_date + interval '1 day', d - interval '2 hours, 3 minutes', interval '1' day
select date '2020-01-01', timestamp '2020-01-01 00:00:00', time '10:00:00'
select * from t match_recognize (partition by a order by b measures first(c) as d one row per match pattern (x+) define x as c > 1)
select * from a join b using (id) left outer join c on a.x = c.x full join d on true cross join e natural join f
select * from a, lateral (select * from b where b.x = a.x) l
select * from a inner join lateral flatten(input => a.v) f
select * from a left join lateral flatten(input => a.v) f on true
select * from table(model_drift(model => 'm', data => (select * from t where x > 1)))
select * from table(infer_schema(location => '@stage/x', file_format => 'f', files => ('a','b')))
select * from table(information_schema.query_history(result_limit => 10))
select * from table(my_db.information_schema.query_history())
select m!predict(a,b), db.s.m!predict(x => a), model(m, v1)!predict_proba(*), -m!predict(a)::int + 1, m!predict(a):x::float from t
select model(db.s.m, last)!predict(a) from t
with mv as model m version v1 select mv!predict(a) from t
with x as (select 1 a), mv as model db.s.m select mv!predict(a) from x
select iff(a, b, c), case when a then b else c end, case a when 1 then 2 end from t
select cast(a as number(10,2)), try_cast(a as int), a::int::varchar from t
select extract(year from d), date_trunc('month', d), dateadd(day, 1, d), datediff('day', a, b), dateadd('month', -1, d), timestampadd(hour, 1, d) from t
select position('a' in b), substring(a from 1 for 2), trim(a), trim(a, 'x'), trim(both 'x' from a), ceil(a), floor(a, 2), left(a, 1), right(a, 2) from t
select {'a': 1, 'b': x}, [1, 2, x], {}, [] from t
select {*}, object_construct(*), hash(*), count(*), count(distinct a, b), count(t.*) from t
select object_construct_keep_null(*), array_agg(distinct a) within group (order by a), array_agg(a), object_agg(k, v) from t
select filter(a, x -> x > 1), transform(a, (x) -> x * 2), reduce(a, 0, (acc, x) -> acc + x), transform(a, x int -> x+1) from t
select top 10 * from t
select distinct a from t order by a desc nulls last limit 10 offset 5
select * from t limit null
select * from t order by all
select * from t offset 5 rows fetch first 10 rows only
select * from t fetch 10
select * from t limit 10 offset 0
(select 1) union all (select 2) order by 1 limit 1
select 1 union select 2 intersect select 3 except select 4 minus select 5
select 1 union all by name select 2
with recursive r as (select 1 n union all select n+1 from r where n < 10) select * from r
with r(n) as (select 1) select * from r
values (1,2),(3,4)
select * from values (1,2),(3,4) as v(a,b)
select a.b.c.d, "A"."b", t.x from db..t
select exists(select 1), not exists (select 1), a in (select 1), a in (1,2), (a,b) in ((1,2)), a not in (1) from t
select a = any (select 1), a > all (select 2) from t
select a is distinct from b, a is not distinct from b, a between 1 and 2, a is null, a is not null, a is true, a is not false from t
select a || b, a % b, a <> b, a != b, a <=> b from t
select equal_null(a,b), nvl(a,b), zeroifnull(a), div0(a,b) from t
select current_timestamp, current_timestamp(), current_user(), current_user, current_date, localtimestamp, current_role(), sysdate()
select last_query_id(), last_query_id(-2), $v, $V + 1, ?, :1, :2
select seq1.nextval, s.nextval from table(getnextval(seq1)) s
select system$cancel_all_queries(123), system$typeof(a)
select * from t where a = :1 and b in (?, ?) limit ?
select a as select_, value, key, index, date, timestamp, time, year, name, type, id, "order" from t
select value:id::string as id, this, seq, path from t
select t.value:a, f.index, f.key from t f
select to_date('x') date, 1 value, 2 as interval
select first, last, row, rows, percent, version, at, before from t
select a from t where contains(a, 'x') and startswith(a, 'y') and a like 'x%' escape '^'
select approx_percentile(a, 0.5), mode(a), min_by(a,b), max_by(a, b, 3), any_value(a) from t
select count_if(a > 1), sum(iff(a, 1, 0)) from t having count(*) > 1
select ratio_to_report(a) over (partition by b), ntile(4) over (order by c), conditional_true_event(a > 1) over (order by b) from t
select sum(a) over (order by d range between interval '7 days' preceding and current row) from t
select sum(a) over (partition by b order by c rows between 3 preceding and 1 following) from t
select * from (t)
select * from (a join b on a.x = b.x)
select * from ((select 1 as x) as l inner join (select 2 as y) as r on l.x = r.y) where x = 1
SELECT  *  FROM ( SELECT  *  FROM ( SELECT  *  FROM (T)) WHERE ("A" = 1 :: INT)) LIMIT 10
select t.$1, t.$2 from (values (1,2)) t
select * from identifier('db.s."t"'), table('u'), identifier('f')('x')
select identifier('a.b') from t
select a at time zone 'UTC' from t
select convert_timezone('UTC', 'Europe/Berlin', d)::date from t
select x'ab12', 1e10, .5, 1., 1.5e-3
select true, false, null
select -1, +1, - -1, not a and b or c
select 'a' 'b'
select array_construct(1,2)[0], split(a, ',')[1]::int, strtok_to_array(a)[0]:x
select get(a, 'x'), get_path(a, 'x.y'), a:x.y[0].z::variant from t
select parse_json('{"a":1}'):a::int
select t.a:b from t where t.a:b::int > 1 group by t.a:b order by t.a:b
select as_integer(a:b), typeof(a:b), a:b is null from t
select any_value(a) filter (where b > 1) from t
select "a" "b", "a" as "b", 'x' as y, 1 "Z"
select * from "DB"."S"."T" as "x" ("A", "B")
select * from t1 anti join t2 on t1.a=t2.a
select * from t for update
select * from a, b where a.x = b.x(+)
select a from t group by 1, b, floor(c) having sum(d) > 1 qualify row_number() over (order by a) = 1 order by 1
select case when a then 1 end::int
select interval from t
select try_to_number('x', '99.9', 10, 2), to_number(a, 38, 5), to_decimal(a)
select grouping(a), grouping_id(a,b) from t group by cube(a,b)
select * from semantic_view(a metrics b)
select a::number, a::decimal(10), a::numeric(10,2), a::float4, a::float8, a::real, a::bigint, a::smallint, a::tinyint, a::byteint, a::boolean, a::date, a::datetime, a::timestamp, a::timestamp_ltz, a::timestamp_tz(3), a::timestampntz, a::char(3), a::string, a::text, a::nvarchar(10), a::char varying(10), a::varbinary, a::geography, a::object(a int, b varchar), a::timestamp without time zone, a::decfloat, a::character varying
select 1 as "a", 2 b union all select 3, 4 order by "a"
select t.* from t, table(flatten(input => t.x)) f where f.value = 'x'
select ascii('a') , insert('abc', 1, 2, 'x'), replace(a, 'b'), left('abc', 2), char(65), chr(65), rank() over (order by a), dense_rank() over(order by a) from t
select date_part(epoch_second, d), date_part('year', d), year(d), month(d), last_day(d, 'month'), next_day(d, 'mo') from t
select to_timestamp_ntz(1), to_variant(1), try_parse_json('x'), object_delete(o, 'a', 'b'), object_pick(o, 'a')
select regexp_substr(a, 'x', 1, 1, 'e', 1), regexp_replace(a, '\\d', 'x'), a rlike '\\d+' from t
select hash(*), hash(* exclude a), object_construct(* exclude (a)), object_construct(t.*), object_construct(* ilike 'a%') from t
select * from t tablesample (?)
select vector_cosine_similarity([1,2,3]::vector(float,3), a) from t
select {'x': {'y': [1, {'z': 2}]}}
select a from t where (a, b) = (1, 2)
select (select max(a) from t) as m, (select 1) + 1
select * from t join (select * from u) as v on t.a = v.a and exists (select 1 from w)
SELECT "A", "B" FROM ( SELECT $1 AS "A", $2 AS "B" FROM VALUES (1 :: INT, 'x' :: STRING), (NULL :: INT, NULL :: STRING))
select * from @stage1 s1, @stage2/x s2
select listagg(distinct a, ', ') within group (order by a) over (partition by b), kurtosis(a) from t
select a.* , b.c from a left semi join b on a.x = b.x
SELECT m!EXPLAIN(a) FROM t, TABLE(m!FORECAST(1))
call m!FORECAST(3)
select ?::int, to_date(?), :1::varchar, {'a':1}, {'a' : 1}, x:a, [:1, :2]
select * from t where a is not null and b = 'x' and not (c is null)
select max(a) over (), min(a) over (partition by b) from t
select bitand(a,b), bitor(a, b), a::string || '' from t
select nullif(a, ''), coalesce(a,b,c), greatest(a,b), least(a,b), decode(a,1,'x','y'), case a when null then 1 end from t
select timestampdiff(second, a, b), time_slice(d, 4, 'month', 'start'), dayname(d), date_from_parts(2020,1,1) from t
select system$typeof(1) as type, 1 as row_number, count(1) as count, sum(1) as sum
select * from information_schema.tables where table_schema ilike 'public'
select lead(a) respect nulls over (order by b) from t
select 1 where 1=1
select 1 from dual
select * from t where d >= dateadd('day', -7, current_date()) and s collate 'en-ci' = 'x'
select array_size(a), array_contains('x'::variant, a), a[0]:b::string, object_keys(o) from t
select count(distinct iff(a, b, null)) from t
select a b, c d from t u, v w
select t1.a from t t1 join t t2 using (a, b) where t1.c between t2.d and t2.e
