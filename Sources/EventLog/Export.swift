import Domain
import Glibc
import Postgres

/// What an export or an import has moved.
package struct TransferReport: Sendable {
    package var tree: TreeHead
    package var duration: Duration
}

/// The log holds other events than its head says; what is exported would be no proof of anything.
package struct DamagedLogError: Error, CustomStringConvertible {
    package let finding: LogFinding

    package var description: String {
        "The log does not agree with its head: \(finding). `ledger verify` tells more."
    }
}

/// Writes the lines of the whole log, in order.
package enum LogExport {
    private static let bufferBytes = 256 << 10

    /// Writes to a file descriptor.
    package static func run(
        conninfo: String, to descriptor: Int32, progress: @escaping LogProgress
    ) throws -> TransferReport {
        let start = ContinuousClock.now
        let connection = try Connection(conninfo, applicationName: "ledger export")
        defer { connection.close() }
        let head = try LogVerification.snapshot(connection)
        var check = LogCheck()
        var buffer: [UInt8] = []
        buffer.reserveCapacity(bufferBytes + 65_536)
        try LogVerification.readAll(connection) { event, line in
            check.add(event, line: line)
            buffer += line
            buffer.append(UInt8(ascii: "\n"))
            guard buffer.count >= bufferBytes else { return }
            try FileDescriptor.write(buffer, to: descriptor)
            buffer.removeAll(keepingCapacity: true)
            progress(Int(check.tree.size), Int(head.position))
        }
        try FileDescriptor.write(buffer, to: descriptor)
        progress(Int(check.tree.size), Int(head.position))
        try connection.execute("COMMIT")
        check.compare(with: head)
        if let finding = check.findings.first.first { throw DamagedLogError(finding: finding) }
        return TransferReport(
            tree: TreeHead(size: head.position, root: check.tree.root),
            duration: ContinuousClock.now - start)
    }

    /// Writes a file, and beside it `FILE.tree` with size and root.
    ///
    /// Both appear when they are complete; until then there is `FILE.partial`.
    package static func run(
        conninfo: String, toFile path: String, progress: @escaping LogProgress
    ) throws -> TransferReport {
        let partial = path + ".partial"
        let report: TransferReport
        do {
            let file = try FileDescriptor(creating: partial)
            report = try run(conninfo: conninfo, to: file.number, progress: progress)
            try file.sync()
        } catch {
            unlink(partial)
            throw error
        }
        // An older tree must not stand beside the new lines.
        unlink(path + ".tree")
        try FileDescriptor.rename(partial, to: path)
        try FileDescriptor.replace(path + ".tree", with: report.tree.json)
        return report
    }
}
