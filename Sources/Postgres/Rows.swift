import CPostgres

/// The rows of a result, in binary format, freed with the object.
///
/// A column is read by the accessor of its type; reading NULL or a value of another width is a
/// programming error and stops, so ask `isNull` first where a column may be NULL.
///
/// A result is never changed after libpq hands it out, so any thread may read it.
package final class Rows: @unchecked Sendable {
    private let result: OpaquePointer
    package let count: Int
    package let columnCount: Int

    init(owning result: OpaquePointer) {
        self.result = result
        count = Int(PQntuples(result))
        columnCount = Int(PQnfields(result))
    }

    deinit { PQclear(result) }

    /// The number of rows the statement inserted, updated, deleted or returned.
    package var affected: Int {
        guard let text = PQcmdTuples(result) else { return 0 }
        return Int(String(cString: text)) ?? 0
    }

    package func isNull(_ row: Int, _ column: Int) -> Bool {
        PQgetisnull(result, Int32(row), Int32(column)) == 1
    }

    /// A `bigint`; narrower integers are widened.
    package func int64(_ row: Int, _ column: Int) -> Int64 {
        withBytes(row, column) { field in
            switch field.count {
            case 8: Int64(bigEndian: field.loadUnaligned(as: Int64.self))
            case 4: Int64(Int32(bigEndian: field.loadUnaligned(as: Int32.self)))
            case 2: Int64(Int16(bigEndian: field.loadUnaligned(as: Int16.self)))
            default: mismatch(column, "an integer")
            }
        }
    }

    package func int32(_ row: Int, _ column: Int) -> Int32 {
        withBytes(row, column) { field in
            switch field.count {
            case 4: Int32(bigEndian: field.loadUnaligned(as: Int32.self))
            case 2: Int32(Int16(bigEndian: field.loadUnaligned(as: Int16.self)))
            default: mismatch(column, "an int4")
            }
        }
    }

    package func double(_ row: Int, _ column: Int) -> Double {
        withBytes(row, column) { field in
            switch field.count {
            case 8:
                Double(bitPattern: UInt64(bigEndian: field.loadUnaligned(as: UInt64.self)))
            case 4:
                Double(
                    Float(bitPattern: UInt32(bigEndian: field.loadUnaligned(as: UInt32.self))))
            default: mismatch(column, "a float")
            }
        }
    }

    package func bool(_ row: Int, _ column: Int) -> Bool {
        withBytes(row, column) { field in
            guard field.count == 1 else { mismatch(column, "a bool") }
            return field[0] != 0
        }
    }

    package func text(_ row: Int, _ column: Int) -> String {
        withBytes(row, column) { String(decoding: $0, as: UTF8.self) }
    }

    package func bytes(_ row: Int, _ column: Int) -> [UInt8] {
        withBytes(row, column) { Array($0) }
    }

    /// The 16 bytes of a `uuid`.
    package func uuid(_ row: Int, _ column: Int) -> [UInt8] {
        withBytes(row, column) { field in
            guard field.count == 16 else { mismatch(column, "a uuid") }
            return Array(field)
        }
    }

    /// A `timestamptz` in microseconds since the Unix epoch.
    package func timestamp(_ row: Int, _ column: Int) -> Int64 {
        withBytes(row, column) { field in
            guard field.count == 8 else { mismatch(column, "a timestamptz") }
            return TimestampFormat.toUnix(Int64(bigEndian: field.loadUnaligned(as: Int64.self)))
        }
    }

    /// Lends the bytes of a field without copying them.
    package func withBytes<Result, Failure: Error>(
        _ row: Int, _ column: Int,
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // The bytes belong to the result, which must outlive the last look at them.
        defer { withExtendedLifetime(self) {} }
        return try body(field(row, column))
    }

    private func field(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
        precondition(
            row >= 0 && row < count && column >= 0 && column < columnCount,
            "row \(row), column \(column) of \(count) rows of \(columnCount)")
        precondition(!isNull(row, column), "column \(column) of row \(row) is NULL")
        let length = Int(PQgetlength(result, Int32(row), Int32(column)))
        let start = UnsafeRawPointer(PQgetvalue(result, Int32(row), Int32(column)))
        let field = UnsafeRawBufferPointer(start: start, count: length)
        // jsonb in binary is its text behind a version byte.
        if length > 0, PQftype(result, Int32(column)) == TypeOID.jsonb {
            return UnsafeRawBufferPointer(rebasing: field.dropFirst())
        }
        return field
    }

    private func mismatch(_ column: Int, _ wanted: String) -> Never {
        let type = PQftype(result, Int32(column))
        preconditionFailure("column \(column) is of type \(type), not \(wanted)")
    }
}
