CREATE OR REPLACE TABLE region (
  r_regionkey NUMBER(9) NOT NULL, r_name VARCHAR NOT NULL, r_comment VARCHAR NOT NULL);
CREATE OR REPLACE TABLE nation (
  n_nationkey NUMBER(9) NOT NULL, n_name VARCHAR NOT NULL, n_regionkey NUMBER(9) NOT NULL,
  n_comment VARCHAR NOT NULL);
CREATE OR REPLACE TABLE supplier (
  s_suppkey NUMBER(18) NOT NULL, s_name VARCHAR NOT NULL, s_address VARCHAR NOT NULL,
  s_nationkey NUMBER(9) NOT NULL, s_phone VARCHAR NOT NULL, s_acctbal NUMBER(15, 2) NOT NULL,
  s_comment VARCHAR NOT NULL);
CREATE OR REPLACE TABLE part (
  p_partkey NUMBER(18) NOT NULL, p_name VARCHAR NOT NULL, p_mfgr VARCHAR NOT NULL,
  p_brand VARCHAR NOT NULL, p_type VARCHAR NOT NULL, p_size NUMBER(9) NOT NULL,
  p_container VARCHAR NOT NULL, p_retailprice NUMBER(15, 2) NOT NULL, p_comment VARCHAR NOT NULL);
CREATE OR REPLACE TABLE partsupp (
  ps_partkey NUMBER(18) NOT NULL, ps_suppkey NUMBER(18) NOT NULL, ps_availqty NUMBER(9) NOT NULL,
  ps_supplycost NUMBER(15, 2) NOT NULL, ps_comment VARCHAR NOT NULL);
CREATE OR REPLACE TABLE customer (
  c_custkey NUMBER(18) NOT NULL, c_name VARCHAR NOT NULL, c_address VARCHAR NOT NULL,
  c_nationkey NUMBER(9) NOT NULL, c_phone VARCHAR NOT NULL, c_acctbal NUMBER(15, 2) NOT NULL,
  c_mktsegment VARCHAR NOT NULL, c_comment VARCHAR NOT NULL);
CREATE OR REPLACE TABLE orders (
  o_orderkey NUMBER(18) NOT NULL, o_custkey NUMBER(18) NOT NULL, o_orderstatus VARCHAR NOT NULL,
  o_totalprice NUMBER(15, 2) NOT NULL, o_orderdate DATE NOT NULL, o_orderpriority VARCHAR NOT NULL,
  o_clerk VARCHAR NOT NULL, o_shippriority NUMBER(9) NOT NULL, o_comment VARCHAR NOT NULL);
CREATE OR REPLACE TABLE lineitem (
  l_orderkey NUMBER(18) NOT NULL, l_partkey NUMBER(18) NOT NULL, l_suppkey NUMBER(18) NOT NULL,
  l_linenumber NUMBER(9) NOT NULL, l_quantity NUMBER(15, 2) NOT NULL,
  l_extendedprice NUMBER(15, 2) NOT NULL, l_discount NUMBER(15, 2) NOT NULL,
  l_tax NUMBER(15, 2) NOT NULL, l_returnflag VARCHAR NOT NULL, l_linestatus VARCHAR NOT NULL,
  l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
  l_shipinstruct VARCHAR NOT NULL, l_shipmode VARCHAR NOT NULL, l_comment VARCHAR NOT NULL);
