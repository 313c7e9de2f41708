import ArgumentParser
import Glibc

/// The settings that come from environment variables where no flag gives them.
enum Environment {
    enum Variable: String, CaseIterable {
        case databaseURL = "LEDGER_DATABASE_URL"
        case dataDirectory = "LEDGER_DATA_DIR"
        case listen = "LEDGER_LISTEN"
        case advertise = "LEDGER_ADVERTISE"
        case logLevel = "LEDGER_LOG_LEVEL"
        case readers = "LEDGER_READERS"
        case secretsKey = "LEDGER_SECRETS_KEY"
        case signingKey = "LEDGER_SIGNING_KEY"
        case url = "LEDGER_URL"
        case key = "LEDGER_KEY"
        case postgresBinaries = "LEDGER_POSTGRES_BIN"
    }

    /// The variable's value; nil where it is not set or empty.
    static func value(_ variable: Variable) -> String? {
        guard let value = getenv(variable.rawValue) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// Refuses variables that look like settings and are none: a typo must not go unnoticed.
    static func refuseUnknown() throws {
        var entry = environ
        while let pointer = entry.pointee {
            let name = String(cString: pointer).prefix { $0 != "=" }
            if name.hasPrefix("LEDGER_"), Variable(rawValue: String(name)) == nil {
                let known = Variable.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("\(name) is no setting; known are \(known).")
            }
            entry += 1
        }
    }
}
