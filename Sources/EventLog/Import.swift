import Domain
import Postgres
import Proof

/// Why lines were not imported; nothing of them is in the ledger.
package struct ImportError: Error, CustomStringConvertible {
    /// The line at fault, counted from 1, if it is one.
    package let line: Int?
    package let reason: String

    package var description: String {
        (line.map { "line \($0): " } ?? "") + reason + ". Nothing was imported."
    }
}

/// Fills an empty ledger with the lines of another, all of them or none.
package enum LogImport {
    /// Reads lines from a file descriptor.
    ///
    /// `expected` is checked once all lines are read; its size too, if there is one. It takes the
    /// leader's lock, so no server writes meanwhile.
    package static func run(
        conninfo: String, from descriptor: Int32, expectedRoot: Digest? = nil,
        expectedSize: Int64? = nil, progress: @escaping LogProgress
    ) throws -> TransferReport {
        let start = ContinuousClock.now
        let total = expectedSize.map { Int($0) }
        let connection = try Leadership.connect(conninfo)
        defer { connection.close() }
        try Migrations.apply(connection)
        try Leadership.refuseFollower(connection)
        guard try Leadership.tryLead(connection) else { throw AlreadyLedError() }
        try connection.execute("BEGIN")
        try refuseUnlessEmpty(connection)
        var lines = ImportedLines()
        var reader = LineReader(descriptor)
        do {
            while try copy(&lines, from: &reader, connection, { progress($0, total) }) {}
        } catch let error as PostgresError where error.sqlState == "23505" {
            throw ImportError(
                line: nil, reason: "an event comes twice (\(error.detail ?? error.message))")
        }
        progress(lines.count, total)
        try checkVersions(connection)
        try lines.check(expectedRoot: expectedRoot, expectedSize: expectedSize)
        _ = try connection.query(
            "UPDATE ledger.head SET position = $1, frontier = $2, recorded_at = $3",
            [
                .int64(Int64(lines.count)), .bytes(lines.tree.bytes),
                .timestamp(microseconds: lines.recordedAt.microseconds),
            ])
        try connection.execute("COMMIT")
        return TransferReport(
            tree: TreeHead(size: Int64(lines.count), root: lines.tree.root),
            duration: ContinuousClock.now - start)
    }

    /// Reads a file, checked against `FILE.tree` where that is beside it.
    package static func run(
        conninfo: String, fromFile path: String, expectedRoot: Digest? = nil,
        progress: @escaping LogProgress
    ) throws -> TransferReport {
        let file = try FileDescriptor(reading: path)
        var tree: TreeHead?
        if let json = try FileDescriptor.contents(of: path + ".tree") {
            tree = TreeHead(json: json)
            guard let tree else {
                throw ImportError(line: nil, reason: "\(path).tree is not what an export writes")
            }
            if let expectedRoot, expectedRoot != tree.root {
                throw ImportError(
                    line: nil, reason: "\(path).tree has another root than the one asked for")
            }
        }
        return try run(
            conninfo: conninfo, from: file.number, expectedRoot: expectedRoot ?? tree?.root,
            expectedSize: tree?.size, progress: progress)
    }

    /// Lines that are sent before the tiles they complete, to bound what these take in memory.
    private static let linesPerStep = 65_536

    /// Copies the next lines and the tiles that they complete; false after the last.
    private static func copy(
        _ lines: inout ImportedLines, from reader: inout LineReader, _ connection: Connection,
        _ progress: (Int) -> Void
    ) throws -> Bool {
        var isAtEnd = false
        _ = try connection.copyIn(
            "COPY ledger.events (\(LogScan.eventColumns)) FROM STDIN (FORMAT binary)"
        ) { writer in
            for _ in 0..<linesPerStep {
                guard let line = try reader.next() else {
                    isAtEnd = true
                    break
                }
                try lines.add(line).write(to: &writer)
                if lines.count % 4_096 == 0 { progress(lines.count) }
            }
        }
        let tiles = lines.takeTiles()
        if !tiles.isEmpty {
            _ = try connection.copyIn(TileRows.copy) { writer throws(PostgresError) in
                try writer.append(TileRows(tiles).rows)
            }
        }
        return !isAtEnd
    }

    private static func refuseUnlessEmpty(_ connection: Connection) throws {
        try connection.execute("LOCK TABLE ledger.events IN SHARE ROW EXCLUSIVE MODE")
        let head = try Head.read(connection)
        let found = try connection.query("SELECT EXISTS (SELECT FROM ledger.events)").bool(0, 0)
        guard head.position == 0, !found else {
            throw ImportError(
                line: nil,
                reason: "the ledger holds \(head.position) events; an import needs an empty one")
        }
    }

    /// Positions are the numbers of lines by now, so what is found names its line.
    private static func checkVersions(_ connection: Connection) throws {
        var findings = LogFindings()
        try LogVerification.checkVersions(connection, &findings)
        let first = findings.first.min { ($0.position ?? 0) < ($1.position ?? 0) }
        if let first { throw ImportError(line: first.position.map { Int($0) }, reason: first.text) }
    }
}

/// The lines of an import as far as they are read: each is checked against those before it.
private struct ImportedLines {
    private(set) var count = 0
    private(set) var tree = MerkleFrontier()
    private var tiles = TreeTiles()
    private var tilesCompleted: [TreeTile] = []
    private(set) var recordedAt = Timestamp(microseconds: 0)
    private var parser = LineParser()
    /// Of the streams of resources and keys, which are few; the others are left to a query.
    private var versions: [ExactText: Int64] = [:]

    mutating func add(_ line: [UInt8]) throws -> StoredEvent {
        count += 1
        do {
            // What is not taken the quick way is read once more, to say why.
            let quick = line.withUnsafeBytes { parser.parse($0)?.event }
            let event = try quick ?? StoredEvent(line: line)
            try check(event)
            recordedAt = event.recordedAt
            tiles.append(MerkleFrontier.leaf(line), to: &tree, completed: &tilesCompleted)
            return event
        } catch let error as ImportError {
            throw error
        } catch let error as EventDecodingError {
            throw ImportError(line: count, reason: "\(error.type)\(error.pointer): \(error.reason)")
        } catch {
            throw ImportError(line: count, reason: "\(error)")
        }
    }

    /// Hands out the tiles completed since it was last asked.
    mutating func takeTiles() -> [TreeTile] {
        defer { tilesCompleted = [] }
        return tilesCompleted
    }

    private mutating func check(_ event: StoredEvent) throws {
        let count = count
        func refuse(_ reason: String) -> ImportError { ImportError(line: count, reason: reason) }
        guard event.position == Int64(count) else {
            throw refuse("position \(event.position) where \(count) is due")
        }
        if StreamName.statePrefixes.contains(where: { event.stream.hasPrefix($0) }) {
            let stream = ExactText(event.stream)
            let due = versions[stream, default: 0] + 1
            guard event.version == due else {
                throw refuse(
                    "version \(event.version) of stream \(event.stream) where \(due) is due")
            }
            versions[stream] = due
        }
        guard event.recordedAt >= recordedAt else {
            throw refuse("recorded at \(event.recordedAt), before the line in front of it")
        }
        let decoded = try event.decoded()
        guard decoded.stream.isExactly(event.stream) else {
            throw refuse("the data belongs to stream \(decoded.stream), not \(event.stream)")
        }
    }

    func check(expectedRoot: Digest?, expectedSize: Int64?) throws {
        if let expectedSize, expectedSize != Int64(count) {
            throw ImportError(line: nil, reason: "there are \(count) lines, not \(expectedSize)")
        }
        if let expectedRoot, expectedRoot != tree.root {
            throw ImportError(
                line: nil,
                reason: "the tree over the lines has root \(tree.root.base64), not "
                    + "\(expectedRoot.base64): a line was changed, or it is another ledger's export"
            )
        }
    }
}

extension StoredEvent {
    /// Writes the columns ``LogScan/eventColumns``.
    fileprivate func write(to writer: inout CopyWriter) throws(PostgresError) {
        try writer.beginRow(columns: 9)
        writer.int64(position)
        writer.uuid(id.bytes)
        writer.text(stream)
        writer.int64(version)
        writer.text(type)
        writer.timestamp(recordedAt.microseconds)
        writer.text(actor)
        writer.bytes(data)
        if let correlation { writer.text(correlation) } else { writer.null() }
    }
}
