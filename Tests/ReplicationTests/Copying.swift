import Domain
import EventLog
import Glibc
import Postgres
import TestSupport

enum Copying {
    /// Fills an empty ledger with lines.
    static func store(_ lines: ArraySlice<[UInt8]>, in database: TestDatabase) async throws {
        let bytes = Array(lines.joined(separator: [0x0A])) + [0x0A]
        try await onThread {
            let directory = try temporaryDirectory()
            defer { removeTree(directory) }
            let path = "\(directory)/lines"
            let file = open(path, O_WRONLY | O_CREAT, 0o600)
            defer { close(file) }
            try FileDescriptor.write(bytes, to: file)
            _ = try LogImport.run(conninfo: database.conninfo, fromFile: path) { _, _ in }
        }
    }
}
