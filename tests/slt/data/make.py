#!/usr/bin/env python3
"""Writes the fixture folders that the .slt files in the parent folder scan.

Usage: python3 make.py        (needs pyarrow; the files it writes are committed, so tests do not need Python)

Every value follows from the row number by integer arithmetic, so that the same script always gives the same rows.
Most tables have several files and small row groups, because a scan of one tiny file never leaves one partition.
"""

import gzip
import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from shutil import rmtree

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
CARRIERS = ["AA", "BB", "CC", "DD", None]
AIRPORTS = ["OSL", "CPH", "LIS", "NRT", "GRU", "YVR"]


def fresh(folder):
    """Empties a fixture folder, so that a renamed file does not linger and double its rows."""
    rmtree(HERE / folder, ignore_errors=True)
    (HERE / folder).mkdir(parents=True)
    return HERE / folder


def parquet_parts(folder, schema, rows, parts, row_group_size=40):
    """Deals the rows round-robin over `parts` Parquet files."""
    target = fresh(folder)
    for part in range(parts):
        table = pa.Table.from_pylist(rows[part::parts], schema=schema)
        pq.write_table(table, target / f"part-{part}.parquet", row_group_size=row_group_size, compression="snappy")


def flights():
    """240 flights in 4 files; null carriers, null delays of cancelled flights, one day per 10 flights."""
    schema = pa.schema([
        ("flight_id", pa.int64()), ("carrier", pa.string()), ("origin", pa.string()), ("dest", pa.string()),
        ("dep_time", pa.timestamp("us")), ("booked_at", pa.timestamp("us", tz="UTC")),
        ("dep_delay", pa.int32()), ("arr_delay", pa.int32()), ("distance", pa.int32()), ("fare", pa.decimal128(10, 2)),
    ])
    start = datetime(2026, 1, 1, 5, 0)
    rows = []
    for n in range(1, 241):
        origin, dest = AIRPORTS[n * 7 % 6], AIRPORTS[(n * 7 + 1 + n // 6 % 4) % 6]
        cancelled = n % 17 == 0
        rows.append({
            "flight_id": n, "carrier": CARRIERS[n * 7 % 11 % 5], "origin": origin, "dest": dest,
            "dep_time": start + timedelta(days=n // 10, minutes=n * 37 % 900),
            "booked_at": datetime(2025, 10, 20, 23, 30, tzinfo=timezone.utc) + timedelta(hours=n * 13),
            "dep_delay": None if cancelled else n * 31 % 97 - 15, "arr_delay": None if cancelled else n * 43 % 131 - 30,
            "distance": 300 + n * 211 % 7000, "fare": Decimal(n * 1999 % 90000 + 4999) / 100,
        })
    parquet_parts("flights", schema, rows, parts=4, row_group_size=30)


def carriers():
    """One CSV file; EE never flies, and one row has neither country nor founding year."""
    (fresh("carriers") / "carriers.csv").write_text(
        "code,name,country,founded\n"
        "AA,Aurora Air,NO,1951\nBB,\"Baltic, Bravo & Co\",DK,1987\nCC,Cascais Céu,PT,2004\nDD,Denki ジェット,,\nEE,Echo Lines,CA,2019\n"
    )


def airports():
    """Newline-delimited JSON in 2 files, with a struct and a list per row; XXX has no location and no runways."""
    places = [
        ("OSL", "Oslo", "Europe/Oslo", 60.2, 11.1, [2950, 3600]), ("CPH", "København", "Europe/Copenhagen", 55.6, 12.7, [2800, 3070, 3600]),
        ("LIS", "Lisboa", "Europe/Lisbon", 38.8, -9.1, [3805]), ("NRT", "東京", "Asia/Tokyo", 35.8, 140.4, [2500, 4000]),
        ("GRU", "São Paulo", "America/Sao_Paulo", -23.4, -46.5, [3000, 3700]), ("YVR", "Vancouver", "America/Vancouver", 49.2, -123.2, [2225, 3030, 3505]),
    ]
    rows = [{"code": c, "city": n, "zone": z, "location": {"lat": lat, "lon": lon}, "runways": r} for c, n, z, lat, lon, r in places]
    rows.append({"code": "XXX", "city": None, "zone": "UTC", "location": None, "runways": []})
    target = fresh("airports")
    for part in range(2):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows[part::2]]
        (target / f"part-{part}.json").write_text("".join(lines))


def events():
    """Hive-partitioned Parquet: 3 days, 2 files each; user_id is null for anonymous visitors."""
    target = fresh("events")
    schema = pa.schema([("event_id", pa.int64()), ("user_id", pa.int32()), ("kind", pa.string()), ("amount", pa.decimal128(12, 2))])
    for number in range(6):
        folder = target / f"day={date(2026, 2, 1) + timedelta(days=number // 2)}"
        folder.mkdir(exist_ok=True)
        rows = []
        for n in range(number * 20 + 1, number * 20 + 21):
            kind = ["view", "view", "cart", "buy", "refund"][n % 5]
            amount = {"buy": Decimal(n * 725) / 100, "refund": Decimal(n * -310) / 100}.get(kind)
            rows.append({"event_id": n, "user_id": None if n % 7 == 0 else n * 3 % 11, "kind": kind, "amount": amount})
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"part-{number % 2}.parquet")


def readings():
    """gzip-compressed CSV in 3 files; 90 readings, every ninth one missing."""
    target = fresh("readings")
    start = datetime(2026, 3, 29, 0, 0)
    for part in range(3):
        lines = ["sensor,taken_at,celsius\n"]
        for n in range(part, 90, 3):
            celsius = "" if n % 9 == 8 else f"{n * 17 % 60 / 2 - 5}"
            lines.append(f"s{n * 5 % 4},{(start + timedelta(minutes=20 * n)).isoformat()},{celsius}\n")
        (target / f"part-{part}.csv.gz").write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


def ledger():
    """CSV with a semicolon, single quotes, empty fields for null and no header line, in 2 files; `-` stands for no note."""
    target = fresh("ledger")
    (target / "part-0.csv").write_text("1;'rent; january';900.50;true\n2;'it''s coffee';3.20;false\n3;-;12.00;\n")
    (target / "part-1.csv").write_text("4;'two, commas, here';;true\n5;'\"double\" quotes';0.05;false\n6;;-45.10;true\n")


def staff():
    """CSV in 2 files: a tree of 12 people, with nobody above the first and an empty department."""
    rows = [
        (1, "Ada", "", "board", 300), (2, "Bo", 1, "eng", 200), (3, "Cy", 1, "ops", 180), (4, "Di", 2, "eng", 150),
        (5, "Ed", 2, "eng", 150), (6, "Flo", 3, "ops", 120), (7, "Gus", 3, "ops", ""), (8, "Hei", 4, "eng", 90),
        (9, "Ina", 4, "", 95), (10, "Jo", 8, "eng", 60), (11, "Kit", 6, "ops", 70), (12, "Lu", 10, "eng", 40),
    ]
    target = fresh("staff")
    for part in range(2):
        lines = ["id,name,boss,dept,salary\n"] + [",".join(map(str, row)) + "\n" for row in rows[part::2]]
        (target / f"part-{part}.csv").write_text("".join(lines))


def numbers():
    """1 to 500 in 5 Parquet files with row groups of 40: `g` has 7 groups and a null group, `v` has nulls, `s` repeats."""
    schema = pa.schema([("n", pa.int64()), ("g", pa.int32()), ("v", pa.int64()), ("s", pa.string()), ("f", pa.float64())])
    rows = [
        {"n": n, "g": None if n % 8 == 7 else n % 8, "v": None if n % 10 == 3 else n * 7919 % 1000,
         "s": ["red", "green", "blue", "", "Blue"][n * 3 % 7 % 5], "f": (n % 16) / 4}
        for n in range(1, 501)
    ]
    parquet_parts("numbers", schema, rows, parts=5)


def pairs():
    """Two small tables of 3 files each with duplicate and null keys on both sides, for joins."""
    schema = pa.schema([("k", pa.int32()), ("k2", pa.string()), ("l", pa.string())])
    left = [(1, "a", "l1"), (1, "b", "l2"), (2, "a", "l3"), (None, "a", "l4"), (3, None, "l5"), (4, "c", "l6"), (None, None, "l7"), (5, "a", "l8"), (2, "b", "l9")]
    right = [(1, "a", "r1"), (2, "a", "r2"), (2, "a", "r3"), (None, "a", "r4"), (3, None, "r5"), (6, "c", "r6"), (5, "b", "r7")]
    parquet_parts("left", schema, [dict(zip(("k", "k2", "l"), row)) for row in left], parts=3)
    schema = pa.schema([("k", pa.int32()), ("k2", pa.string()), ("r", pa.string())])
    parquet_parts("right", schema, [dict(zip(("k", "k2", "r"), row)) for row in right], parts=3)


def carts():
    """Nested Parquet in 2 files: a list of structs, a map, a struct; empty and null ones among them."""
    item = pa.struct([("sku", pa.string()), ("qty", pa.int32())])
    schema = pa.schema([
        ("cart_id", pa.int64()), ("tags", pa.list_(pa.string())), ("items", pa.list_(item)),
        ("owner", pa.struct([("name", pa.string()), ("city", pa.string())])), ("prices", pa.map_(pa.string(), pa.int64())),
    ])
    rows = [
        {"cart_id": 1, "tags": ["new", "gift"], "items": [{"sku": "pen", "qty": 3}, {"sku": "ink", "qty": 1}], "owner": {"name": "Ada", "city": "Oslo"}, "prices": [("pen", 2), ("ink", 9)]},
        {"cart_id": 2, "tags": [], "items": [{"sku": "cup", "qty": 2}], "owner": {"name": "Bo", "city": None}, "prices": [("cup", 5)]},
        {"cart_id": 3, "tags": None, "items": [], "owner": None, "prices": []},
        {"cart_id": 4, "tags": ["gift", None, "sale"], "items": [{"sku": "pen", "qty": None}, {"sku": "cup", "qty": 7}], "owner": {"name": "Cy", "city": "Lisboa"}, "prices": [("pen", 3), ("cup", 4)]},
        {"cart_id": 5, "tags": ["new"], "items": None, "owner": {"name": "Ada", "city": "Oslo"}, "prices": None},
    ]
    parquet_parts("carts", schema, rows, parts=2)


def extremes():
    """Three files with one large BIGINT each: every pair has a sum that fits, all three together do not."""
    parquet_parts("extremes", pa.schema([("id", pa.int32()), ("big", pa.int64()), ("small", pa.int32())]), [
        {"id": n, "big": 4_000_000_000_000_000_000, "small": 2_000_000_000} for n in (1, 2, 3)
    ], parts=3)


def empty():
    """A Parquet file with a schema and no rows."""
    parquet_parts("empty", pa.schema([("n", pa.int64()), ("g", pa.int32()), ("s", pa.string())]), [], parts=1)


for make in (flights, carriers, airports, events, readings, ledger, staff, numbers, pairs, carts, extremes, empty):
    make()
