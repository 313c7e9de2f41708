import Domain
import JSON
import Postgres

/// A stretch of the log as its lines, each with its line break.
package struct LinePage: Sendable {
    package var bytes: [UInt8]
    /// Lines.
    package var count: Int
}

extension LinePage {
    /// Rows asked for before it is known how long lines are.
    private static let firstWindow = 2_000

    /// Reads the lines after a position, straight from PostgreSQL's rows into bytes.
    ///
    /// The page ends at `limit` lines, at `through`, or with the line that reaches `bytesMax`.
    package static func read(
        after: Int64, through: Int64, limit: Int, bytesMax: Int, _ connection: Connection
    ) throws -> LinePage {
        var lines = LineBuffer(capacity: 65_536)
        var writer = LineWriter()
        var (count, last) = (0, after)
        var window = min(limit, firstWindow)
        while count < limit, last < through, lines.count < bytesMax {
            let before = count
            try read(after: last, through: through, count: window, connection) { fields in
                guard lines.count < bytesMax else { return false }
                last = writer.write(&fields, to: &lines)
                count += 1
                return true
            }
            guard count - before == window else { break }
            // As many as the rest of the page has room for, if the next lines are like these.
            let room = (bytesMax - lines.count) / max(1, lines.count / count) + 1
            window = min(limit - count, max(1, room))
        }
        return LinePage(bytes: lines.bytes, count: count)
    }

    private struct Full: Error {}

    /// Lends rows until `row` returns false.
    private static func read(
        after: Int64, through: Int64, count: Int, _ connection: Connection,
        _ row: (inout CopyFields) -> Bool
    ) throws {
        let end = min(through, after + Int64(count))
        // For so many the planner might rather collect and sort, and would then need a disk.
        let isLong = count > firstWindow
        if isLong {
            try connection.execute(
                """
                BEGIN READ ONLY; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
                SET LOCAL enable_sort = off; SET LOCAL max_parallel_workers_per_gather = 0;
                SET LOCAL jit = off
                """)
        }
        do {
            try connection.copyOut(
                """
                COPY (SELECT \(LogScan.eventColumns) FROM ledger.events
                       WHERE position > \(after) AND position <= \(end) ORDER BY position)
                TO STDOUT (FORMAT binary)
                """
            ) { message in
                var fields = CopyFields(message)
                guard row(&fields) else { throw Full() }
            }
        } catch is Full {}
        if isLong { try connection.execute("ROLLBACK") }
    }
}

/// Writes lines from the columns of ``LogScan/eventColumns``, in the form of ``StoredEvent``.
struct LineWriter {
    private var clock = TimestampWriter()

    /// Appends a line with its line break.
    ///
    /// - Returns: the event's position.
    mutating func write(_ fields: inout CopyFields, to buffer: inout LineBuffer) -> Int64 {
        let position = fields.int64()
        buffer.literal(#"{"position":"#)
        buffer.integer(position)
        buffer.literal(#","id":""#)
        buffer.uuid(fields.bytes())
        buffer.literal(#"","stream":""#)
        buffer.escaped(fields.bytes())
        buffer.literal(#"","version":"#)
        buffer.integer(fields.int64())
        buffer.literal(#","type":""#)
        buffer.escaped(fields.bytes())
        buffer.literal(#"","recordedAt":""#)
        clock.write(fields.timestamp(), to: &buffer)
        buffer.literal(#"","actor":""#)
        buffer.escaped(fields.bytes())
        buffer.literal(#"","data":"#)
        buffer.append(fields.bytes())
        if let correlation = fields.next() {
            buffer.literal(#","correlation":""#)
            buffer.escaped(correlation)
            buffer.literal("\"")
        }
        buffer.literal("}\n")
        return position
    }
}

/// Writes moments as ``Timestamp/description`` does, and remembers the day: the next is often on it.
struct TimestampWriter {
    private var day = Int64.min
    private var date: [UInt8] = []

    private static let microsecondsPerDay: Int64 = 86_400_000_000

    mutating func write(_ microseconds: Int64, to buffer: inout LineBuffer) {
        var time = Int(microseconds % Self.microsecondsPerDay)
        if time < 0 { time += Int(Self.microsecondsPerDay) }
        let midnight = microseconds - Int64(time)
        if midnight != day {
            day = midnight
            date = Array(Timestamp(microseconds: midnight).bytes.prefix { $0 != UInt8(ascii: "T") })
        }
        date.withUnsafeBytes { buffer.append($0) }
        let seconds = time / 1_000_000
        buffer.literal("T")
        buffer.digits(seconds / 3_600, width: 2)
        buffer.literal(":")
        buffer.digits(seconds / 60 % 60, width: 2)
        buffer.literal(":")
        buffer.digits(seconds % 60, width: 2)
        buffer.literal(".")
        buffer.digits(time % 1_000_000, width: 6)
        buffer.literal("Z")
    }
}
