import Testing

@testable import Postgres

private struct Refused: Error {}

@Suite struct CopyTests {
    private func table() throws -> Connection {
        let connection = try TestServer.connect()
        try connection.execute(
            """
            CREATE TEMP TABLE t (a bigint PRIMARY KEY, b text, c bytea, d uuid, e timestamptz,
                f float8, g bool, h int)
            """)
        return connection
    }

    private let copy = "COPY t FROM STDIN (FORMAT binary)"

    private func write(_ writer: inout CopyWriter, _ number: Int) throws {
        try writer.beginRow(columns: 8)
        writer.int64(Int64(number))
        writer.text("text \(number)")
        writer.bytes([UInt8(number % 256), 0])
        writer.uuid([UInt8](repeating: 7, count: 16))
        writer.timestamp(Int64(number) * 1_000_000)
        writer.double(0.5)
        writer.bool(true)
        if number % 2 == 0 { writer.int32(Int32(number)) } else { writer.null() }
    }

    @Test func rowsCopiedInCanBeReadAndCopiedOut() throws {
        let connection = try table()
        let count = try connection.copyIn(copy) { writer in
            for number in 0..<20_000 { try write(&writer, number) }
        }
        #expect(count == 20_000)
        let rows = try connection.query("SELECT * FROM t WHERE a IN (254, 9999) ORDER BY a")
        #expect(rows.text(0, 1) == "text 254" && rows.bytes(0, 2) == [254, 0])
        #expect(rows.timestamp(1, 4) == 9_999_000_000 && rows.double(1, 5) == 0.5)
        #expect(rows.int32(0, 7) == 254 && rows.isNull(1, 7))
        var next: Int64 = 0
        try connection.copyOut("COPY (SELECT a, b FROM t ORDER BY a) TO STDOUT (FORMAT binary)") {
            #expect(Int16(bigEndian: $0.loadUnaligned(as: Int16.self)) == 2)
            #expect(Int64(bigEndian: $0.loadUnaligned(fromByteOffset: 6, as: Int64.self)) == next)
            next += 1
        }
        #expect(next == 20_000)
    }

    @Test func textIsCopiedOutAsItIs() throws {
        let connection = try TestServer.connect()
        var lines: [String] = []
        try connection.copyOut("COPY (VALUES (1, 'a'), (2, 'b')) TO STDOUT") {
            lines.append(String(decoding: $0, as: UTF8.self))
        }
        #expect(lines == ["1\ta\n", "2\tb\n"])
        try connection.copyOut("COPY (SELECT 1 WHERE false) TO STDOUT (FORMAT binary)") { _ in
            Issue.record("there is no row")
        }
    }

    @Test func aBodyThatThrowsLeavesNothingOfTheCopy() throws {
        let connection = try table()
        #expect(throws: Refused.self) {
            _ = try connection.copyIn(copy) { writer in
                for number in 0..<5000 { try write(&writer, number) }
                throw Refused()
            }
        }
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
    }

    @Test func aRowPostgreSQLRefusesEndsTheCopyWithItsError() throws {
        let connection = try table()
        let error = postgresError {
            _ = try connection.copyIn(copy) { writer in
                for number in 0..<5000 { try write(&writer, number % 100) }
            }
        }
        #expect(error?.sqlState == "23505")
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
    }

    @Test func aReaderThatThrowsLeavesTheConnectionUsable() throws {
        let connection = try TestServer.connect()
        #expect(throws: Refused.self) {
            try connection.copyOut("COPY (SELECT generate_series(1, 1000000)) TO STDOUT") { _ in
                throw Refused()
            }
        }
        #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
    }

    @Test func whatIsNoCopyIsRefused() throws {
        let connection = try table()
        #expect(postgresError { _ = try connection.copyIn("SELECT 1") { _ in } }?.kind == .usage)
        let wrong = postgresError { _ = try connection.copyIn("COPY nothing FROM STDIN") { _ in } }
        #expect(wrong?.sqlState == "42P01")
        #expect(try connection.query("SELECT 1").count == 1)
    }
}
