import ArgumentParser
import Glibc

/// Runs the command that the process's arguments name.
package enum Main {
    /// Runs the command and exits: 0 if it worked or showed help, 1 if it failed, 2 if the
    /// arguments can't be used.
    package static func run() async -> Never {
        do {
            var command = try Ledger.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            guard Terminal.flush() else {
                throw CommandFailure(
                    message: "could not write the output: \(String(cString: strerror(errno)))")
            }
            exit(0)
        } catch let failure as CommandFailure {
            Terminal.writeError(failure.description + "\n")
            exit(1)
        } catch {
            let message = Ledger.fullMessage(for: error)
            let code = status(of: error)
            if !message.isEmpty {
                if code == 0 {
                    print(message)
                } else {
                    Terminal.writeError(message + "\n")
                }
            }
            exit(code)
        }
    }

    /// ArgumentParser ends with 64 where the arguments can't be used.
    static func status(of error: any Error) -> Int32 {
        let code = Ledger.exitCode(for: error)
        return code == .validationFailure ? 2 : code.rawValue
    }
}
