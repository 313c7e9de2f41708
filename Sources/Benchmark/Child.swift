import Glibc
import JSON
import Synchronization

/// A program that was started, with what it prints in a file.
final class Child: Sendable {
    let name: String
    let pid: pid_t
    private let outputPath: String
    /// The wait status, once it has ended.
    private let status = Mutex<Int32?>(nil)

    /// Both streams go to `outputPath`.
    init(_ arguments: [String], outputPath: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Its own group: Ctrl-C reaches this process alone, which then ends the others in order.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

        let argv = arguments.map { strdup($0) }
        defer { for text in argv { free(text) } }
        var pid: pid_t = 0
        let error = posix_spawnp(&pid, arguments[0], &actions, &attributes, argv + [nil], environ)
        guard error == 0 else {
            throw BenchmarkError("starting \(arguments[0]): \(String(cString: strerror(error)))")
        }
        name = arguments[0].split(separator: "/").last.map(String.init) ?? arguments[0]
        self.pid = pid
        self.outputPath = outputPath
    }

    var output: String { TextFile.read(outputPath) ?? "" }

    var hasEnded: Bool { poll() != nil }

    /// Only here is the child waited for, so its number can't be another process's meanwhile.
    private func poll() -> Int32? {
        status.withLock { status in
            var ended: Int32 = 0
            if status == nil, waitpid(pid, &ended, WNOHANG) == pid { status = ended }
            return status
        }
    }

    /// Waits for its end, which has to be a good one.
    func finish() throws {
        while !hasEnded { usleep(2_000) }
        guard let status = poll(), status == 0 else { throw failure("ended badly") }
    }

    /// Waits for a line of its output from which `find` takes something.
    func waitForLine<T>(_ what: String, _ find: (Substring) -> T?) throws -> T {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            if let found = output.split(separator: "\n").lazy.compactMap(find).first {
                return found
            }
            if hasEnded { throw failure("ended before \(what)") }
            guard ContinuousClock.now < deadline else { throw failure("is too slow: \(what)") }
            usleep(20_000)
        }
    }

    /// Waits for the address in the log of a server that is about to answer.
    func waitForURL() throws -> String {
        try waitForLine("it listened") { line in
            (try? JSONValue.parse(Array(line.utf8)))?["url"]?.string
        }
    }

    private func failure(_ what: String) -> BenchmarkError {
        let lines = output.split(separator: "\n").suffix(10).joined(separator: "\n  ")
        return BenchmarkError("\(name) \(what); it said:\n  \(lines)")
    }

    /// Lets it stand still until ``thaw()``.
    func freeze() { signal(SIGSTOP) }

    func thaw() { signal(SIGCONT) }

    /// Ends it on the spot.
    func kill() { signal(SIGKILL) }

    private func signal(_ number: Int32) {
        if !hasEnded { Glibc.kill(pid, number) }
    }

    /// Ends it: politely, then by force.
    func stop() {
        // One that stands still would not hear of it.
        thaw()
        for (signal, patience) in [(SIGTERM, Duration.seconds(30)), (SIGKILL, .seconds(5))] {
            if hasEnded { return }
            Glibc.kill(pid, signal)
            let deadline = ContinuousClock.now + patience
            while !hasEnded, ContinuousClock.now < deadline { usleep(5_000) }
        }
    }
}
