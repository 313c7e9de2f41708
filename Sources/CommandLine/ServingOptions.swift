import ArgumentParser
import Glibc
import Logging
import Secrets
import Webhooks

/// How a ledger is served, whether it leads or follows.
struct ServingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Address and port, or LEDGER_LISTEN; 127.0.0.1:8080 if there is neither. Port 0 takes a \
            free one.
            """, valueName: "host:port"))
    var listen: String?

    @Option(
        help: ArgumentHelp(
            """
            trace, debug, info, notice, warning or error, or LEDGER_LOG_LEVEL; info if there is \
            neither.
            """, valueName: "level"))
    var logLevel: String?

    @Option(
        help: ArgumentHelp(
            "Database connections that read, or LEDGER_READERS; 4 if there is neither.",
            valueName: "n"))
    var readers: Int?

    @Option(
        help: ArgumentHelp(
            """
            The file with the key that webhooks' secrets and the keys of sealed subjects are sealed \
            with, or LEDGER_SECRETS_KEY; secrets.key in the data directory if there is neither. Made \
            on first use; keep a copy apart from the database's.
            """, valueName: "file"))
    var secretsKey: String?

    /// Made on first use, outside the database.
    func secretBox(dataDirectory: String) throws -> SecretBox {
        let named = secretsKey ?? Environment.value(.secretsKey)
        // With a database of its own the directory may be missing.
        if named == nil { mkdir(dataDirectory, 0o711) }
        let file = named ?? "\(dataDirectory)/secrets.key"
        do throws(SecretBoxError) {
            return try SecretBox(keyFile: file, createIfMissing: true)
        } catch {
            throw CommandFailure(
                message: "\(error)",
                details: [
                    "It seals the secrets of webhooks and the keys of sealed subjects; name it "
                        + "with --secrets-key."
                ])
        }
    }

    struct Settings {
        var address: Address
        var logLevel: Logger.Level
        var readers: Int
    }

    /// Flags first, then the environment, then what suits most.
    func settings() throws -> Settings {
        let listen = listen ?? Environment.value(.listen) ?? "127.0.0.1:8080"
        guard let address = Address(listen) else {
            throw ValidationError(
                "--listen (LEDGER_LISTEN) is host:port, such as 127.0.0.1:8080; not '\(listen)'.")
        }
        let level = logLevel ?? Environment.value(.logLevel) ?? "info"
        guard let logLevel = Logger.Level(rawValue: level) else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--log-level (LEDGER_LOG_LEVEL) is one of \(known).")
        }
        let readers =
            try readers
            ?? Environment.value(.readers).map { text in
                guard let number = Int(text) else {
                    throw ValidationError("LEDGER_READERS is a number, not '\(text)'.")
                }
                return number
            }
        guard (1...32).contains(readers ?? 4) else {
            throw ValidationError("--readers (LEDGER_READERS) is between 1 and 32.")
        }
        return Settings(address: address, logLevel: logLevel, readers: readers ?? 4)
    }
}
