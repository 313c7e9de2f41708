import Glibc
import Postgres

/// One PostgreSQL for all tests of the process, stopped and removed when it exits.
package enum TestServer {
    private static let directory = "/tmp/ledger-tests-\(getpid())"

    private static let shared: EmbeddedServer = {
        do {
            // Nothing here has to outlive a power cut, and many tests run at once.
            let server = try EmbeddedServer.start(
                dataDirectory: directory, settings: ["fsync=off", "max_connections=1000"],
                report: { _ in })
            atexit {
                TestServer.shared.stop()
                removeTree(TestServer.directory)
            }
            return server
        } catch {
            fatalError("the tests' PostgreSQL did not start: \(error)")
        }
    }()

    /// How to connect to the server's first database.
    package static var conninfo: String { shared.conninfo }

    /// How to connect to another database of the server.
    package static func conninfo(database: String) -> String {
        // Of two settings of one name libpq takes the last.
        "\(conninfo) dbname=\(database)"
    }
}

/// A new directory of a test's own, which the test removes.
package func temporaryDirectory() throws -> String {
    var template = Array("/tmp/ledger-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("mkdtemp: \(errno)") }
    return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// Removes a directory and all below it.
package func removeTree(_ path: String) {
    if let directory = opendir(path) {
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            let child = "\(path)/\(name)"
            // A link to a directory goes, not what it leads to.
            if unlink(child) != 0 { removeTree(child) }
        }
    }
    rmdir(path)
}
