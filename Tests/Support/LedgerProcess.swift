import Glibc
import JSON
import Postgres
import Synchronization

/// The real binary, run as a process of its own.
package struct LedgerProcess: Sendable {
    package let pid: pid_t
    package let url: String

    /// Beside the test runner, where the build puts every product.
    package static let binary: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let path = String(decoding: buffer.prefix(max(0, length)).map(UInt8.init), as: UTF8.self)
        return path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex) + "/ledger"
    }()

    /// Starts a server on an embedded PostgreSQL and waits until it listens.
    package static func serve(
        dataDirectory: String, port: Int = 0, flags: [String] = []
    ) throws -> LedgerProcess {
        try serve(["--data-dir", dataDirectory, "--listen", "127.0.0.1:\(port)"] + flags)
    }

    /// Starts a server and waits until it listens; all that it ever says goes to the end of the file
    /// `log`, if one is named.
    package static func serve(
        _ flags: [String], environment: [String: String] = [:], log: String? = nil
    ) throws -> LedgerProcess {
        try start("serve", flags, environment: environment, log: log)
    }

    /// Starts a command that serves, and waits until it listens.
    package static func start(
        _ command: String, _ flags: [String], environment: [String: String] = [:],
        log: String? = nil
    ) throws -> LedgerProcess {
        let (pid, output) = try spawn([command] + flags, environment: environment)
        output.copy(to: log)
        var text = ""
        while let line = output.readLine() {
            text += line + "\n"
            guard line.hasPrefix("{"), let json = try? JSONValue.parse(Array(line.utf8)),
                let url = json["url"]?.string
            else { continue }
            output.drainInBackground()
            return LedgerProcess(pid: pid, url: url)
        }
        _ = wait(pid)
        throw Failure(description: "the server did not start:\n\(text)")
    }

    /// Runs a command to its end.
    package static func run(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String) {
        let (pid, output) = try spawn(arguments, environment: environment)
        var text = ""
        while let line = output.readLine() { text += line + "\n" }
        return (wait(pid), text)
    }

    package func kill(_ signal: Int32) { Glibc.kill(pid, signal) }

    /// Waits for the process to end; its exit status, or minus the signal that ended it.
    @discardableResult
    package func wait() -> Int32 { Self.wait(pid) }

    private static func wait(_ pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : -signal
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    /// One at a time, so that no process inherits the pipe of another.
    private static let isSpawning = Mutex(())

    private static func spawn(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> (pid_t, ProcessOutput) {
        try isSpawning.withLock { _ in try spawnAlone(arguments, environment) }
    }

    /// Starts the binary, its output and errors in one pipe.
    private static func spawnAlone(
        _ arguments: [String], _ environment: [String: String]
    ) throws -> (pid_t, ProcessOutput) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure(description: "pipe: \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        // A library that is loaded into the first process of all makes it lose its arguments.
        let program = environment["LD_PRELOAD"] == nil ? [binary] : ["/usr/bin/env", binary]
        let words: [UnsafeMutablePointer<CChar>?] =
            (program + arguments).map { strdup($0) } + [nil]
        var variables = [UnsafeMutablePointer<CChar>?]()
        var entry = environ
        while let variable = entry.pointee {
            variables.append(strdup(variable))
            entry += 1
        }
        variables += environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for string in words + variables { free(string) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, program[0], &actions, nil, words, variables)
        close(ends[1])
        guard result == 0 else { throw Failure(description: "\(binary): \(result)") }
        return (pid, ProcessOutput(descriptor: ends[0]))
    }
}

/// The reading end of a process's output.
final class ProcessOutput: @unchecked Sendable {
    // Touched by one thread at a time: the test's, and after `drainInBackground()` the drain's.
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var copy: Int32 = -1

    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit {
        close(descriptor)
        if copy >= 0 { close(copy) }
    }

    /// Keeps everything that is read at the end of a file.
    func copy(to path: String?) {
        if let path { copy = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600) }
    }

    /// The next line; nil at the end.
    func readLine() -> String? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return nil }
            buffer += chunk[..<count]
            if copy >= 0 { _ = write(copy, chunk, count) }
        }
    }

    /// Keeps a full pipe from stopping the process.
    func drainInBackground() {
        OSThread.start(name: "drain") { [self] in while readLine() != nil {} }
    }
}
