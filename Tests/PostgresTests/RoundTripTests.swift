import Testing

@testable import Postgres

@Suite struct RoundTripTests {
    @Test func everyParameterTypeComesBackAsItWent() throws {
        let connection = try TestServer.connect()
        let uuid = (0..<16).map { UInt8($0 * 16) }
        let rows = try connection.query(
            "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9",
            [
                .bool(true), .int32(.min), .int64(.max), .double(-0.1), .text("grüße 🧪"),
                .bytes([0, 255, 1]), .json(Array(#"{"a": 1}"#.utf8)), .uuid(uuid),
                .timestamp(microseconds: 1_767_323_045_678_901),
            ])
        #expect(rows.count == 1 && rows.columnCount == 9 && rows.affected == 1)
        #expect(rows.bool(0, 0))
        #expect(rows.int32(0, 1) == .min && rows.int64(0, 1) == Int64(Int32.min))
        #expect(rows.int64(0, 2) == .max)
        #expect(rows.double(0, 3) == -0.1)
        #expect(rows.text(0, 4) == "grüße 🧪")
        #expect(rows.bytes(0, 5) == [0, 255, 1])
        #expect(rows.text(0, 6) == #"{"a": 1}"#)
        #expect(rows.uuid(0, 7) == uuid)
        #expect(rows.timestamp(0, 8) == 1_767_323_045_678_901)
    }

    @Test func postgreSQLReadsTheValuesAsMeant() throws {
        let connection = try TestServer.connect()
        let rows = try connection.query(
            "SELECT $1::text, $2::text, $3::text",
            [
                .timestamp(microseconds: 1_767_323_045_678_901),
                .uuid([0xA0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]), .double(1.5),
            ])
        #expect(rows.text(0, 0) == "2026-01-02 03:04:05.678901+00")
        #expect(rows.text(0, 1) == "a0000000-0000-0001-0000-000000000002")
        #expect(rows.text(0, 2) == "1.5")
    }

    @Test func narrowNumbersAndJSONBAreReadToo() throws {
        let connection = try TestServer.connect()
        let rows = try connection.query(
            "SELECT 7::int2, 1.5::float4, '{\"b\":2}'::jsonb, 'infinity'::timestamptz")
        #expect(rows.int64(0, 0) == 7 && rows.int32(0, 0) == 7)
        #expect(rows.double(0, 1) == 1.5)
        #expect(rows.text(0, 2) == #"{"b": 2}"#)
        #expect(rows.timestamp(0, 3) == .max)
    }

    @Test func aNullTakesTheTypeOfWhatComesLater() throws {
        let connection = try TestServer.connect()
        try connection.execute("CREATE TEMP TABLE t (a int, b bigint)")
        let insert = "INSERT INTO t VALUES ($1, $2)"
        #expect(try connection.query(insert, [.null, .int64(1)]).affected == 1)
        #expect(try connection.query(insert, [.int64(2), .null]).affected == 1)
        #expect(try connection.query(insert, [.int64(3), .int64(3)]).affected == 1)
        #expect(try connection.query(insert, [.null, .null]).affected == 1)
        let rows = try connection.query("SELECT a, b FROM t ORDER BY a, b")
        #expect(rows.count == 4)
        #expect(rows.int64(0, 0) == 2 && rows.isNull(0, 1))
        #expect(rows.int64(1, 0) == 3 && rows.int64(1, 1) == 3)
        #expect(rows.isNull(2, 0) && rows.int64(2, 1) == 1)
        #expect(rows.isNull(3, 0) && rows.isNull(3, 1))
    }

    @Test func arraysOfEveryTypeComeBackElementByElement() throws {
        var ints = BinaryArray(.int32)
        var longs = BinaryArray(.int64, capacity: 3)
        var doubles = BinaryArray(.double)
        var texts = BinaryArray(.text)
        var blobs = BinaryArray(.bytes)
        var jsons = BinaryArray(.json)
        var uuids = BinaryArray(.uuid)
        var times = BinaryArray(.timestamp)
        var bools = BinaryArray(.bool)
        for index in 0..<3 {
            ints.append(Int32(index))
            longs.append(Int64(index) << 40)
            doubles.append(Double(index) / 4)
            texts.append(text: "text \(index)")
            blobs.append(bytes: [UInt8(index)])
            jsons.append(text: "[\(index)]")
            uuids.append(bytes: [UInt8](repeating: UInt8(index), count: 16))
            times.append(timestamp: Int64(index))
            bools.append(index == 1)
        }
        texts.appendNull()
        #expect(texts.count == 4)
        let connection = try TestServer.connect()
        let rows = try connection.query(
            "SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [ints, longs, doubles, texts, blobs, jsons, uuids, times, bools].map { .array($0) })
        #expect(rows.count == 4)
        for index in 0..<3 {
            #expect(rows.int32(index, 0) == Int32(index))
            #expect(rows.int64(index, 1) == Int64(index) << 40)
            #expect(rows.double(index, 2) == Double(index) / 4)
            #expect(rows.text(index, 3) == "text \(index)")
            #expect(rows.bytes(index, 4) == [UInt8(index)])
            #expect(rows.text(index, 5) == "[\(index)]")
            #expect(rows.uuid(index, 6) == [UInt8](repeating: UInt8(index), count: 16))
            #expect(rows.timestamp(index, 7) == Int64(index))
            #expect(rows.bool(index, 8) == (index == 1))
        }
        #expect(rows.isNull(3, 3))
    }

    @Test func aCopyOfAnArrayIsIndependent() throws {
        var first = BinaryArray(.int64)
        first.append(Int64(1))
        var second = first
        second.append(Int64(2))
        first.append(Int64(3))
        let connection = try TestServer.connect()
        let rows = try connection.query(
            "SELECT $1::text, $2::text, $3::text",
            [.array(first), .array(second), .array(BinaryArray(.text))])
        #expect(rows.text(0, 0) == "{1,3}")
        #expect(rows.text(0, 1) == "{1,2}")
        #expect(rows.text(0, 2) == "{}")
    }

    @Test func anErrorKeepsWhatPostgreSQLSaid() throws {
        let connection = try TestServer.connect()
        try connection.execute("CREATE TEMP TABLE t (a int CONSTRAINT once PRIMARY KEY)")
        _ = try connection.query("INSERT INTO t VALUES (1)")
        let error = postgresError { _ = try connection.query("INSERT INTO t VALUES (1)") }
        #expect(error?.kind == .server && error?.sqlState == "23505")
        #expect(error?.constraint == "once" && error?.statementIndex == nil)
        #expect(error?.detail == "Key (a)=(1) already exists.")
        #expect(!connection.isBroken)
    }

    @Test func severalPlainStatementsRunAndTheFirstErrorIsThrown() throws {
        let connection = try TestServer.connect()
        try connection.execute("CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1), (2)")
        let error = postgresError { try connection.execute("SELECT 1; SELECT nothing") }
        #expect(error?.sqlState == "42703")
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 2)
    }

    @Test func aChangedTableCostsOneErrorOnly() throws {
        let connection = try TestServer.connect()
        try connection.execute("CREATE TEMP TABLE t (a int)")
        #expect(try connection.query("SELECT * FROM t").columnCount == 1)
        try connection.execute("ALTER TABLE t ADD b int")
        #expect(postgresError { _ = try connection.query("SELECT * FROM t") }?.sqlState == "0A000")
        #expect(try connection.query("SELECT * FROM t").columnCount == 2)
    }

    @Test func moreStatementsThanAreKeptStillRun() throws {
        let connection = try TestServer.connect()
        for number in 0..<(PreparedStatements.countMax + 10) {
            #expect(try connection.query("SELECT \(number)").int64(0, 0) == Int64(number))
        }
        #expect(connection.prepared.count == 10)
    }
}
