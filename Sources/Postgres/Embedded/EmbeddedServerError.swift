import Glibc

/// Why the embedded PostgreSQL does not run, and what to do about it.
package struct EmbeddedServerError: Error, Sendable, CustomStringConvertible {
    package var message: String
    /// The last lines of what PostgreSQL itself had to say.
    package var log: String?

    init(_ message: String, log: String? = nil) {
        self.message = message
        self.log = log
    }

    /// An error of the operating system, for the call that just failed.
    init(errno code: Int32, _ doing: String) {
        self.init("\(doing): \(String(cString: strerror(code)))")
    }

    package var description: String {
        guard let log, !log.isEmpty else { return message }
        return "\(message)\n\(log)"
    }
}
