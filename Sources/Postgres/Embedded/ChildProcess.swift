import CPostgres
import Glibc

/// Starts programs that share nothing with this one: no descriptor, no terminal, no signal mask.
enum ChildProcess {
    /// Where the standard output and error streams go.
    enum Output {
        case append(String)
        case descriptor(Int32)
    }

    static func spawn(
        _ arguments: [String], output: Output
    ) throws(EmbeddedServerError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        switch output {
        case .append(let path):
            posix_spawn_file_actions_addopen(
                &actions, 1, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        case .descriptor(let descriptor):
            posix_spawn_file_actions_adddup2(&actions, descriptor, 1)
        }
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // The directory this process works in may be closed to the user the child runs as.
        _ = ledger_spawn_in(&actions, "/")
        // Others may have opened files without the close-on-exec flag.
        _ = ledger_spawn_close_from(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // Its own session: the terminal's Ctrl-C is for the ledger, which then stops it in order.
        let flags =
            Int32(ledger_spawn_new_session) | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(truncatingIfNeeded: flags))

        // Variables such as PGPORT and PGDATA would change what the child does.
        let environment = ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C"]
        let argv = arguments.map { strdup($0) }
        let envp = environment.map { strdup($0) }
        defer { for text in argv + envp { free(text) } }
        var pid: pid_t = 0
        let status = posix_spawn(
            &pid, arguments[0], &actions, &attributes, argv + [nil], envp + [nil])
        guard status == 0 else {
            throw EmbeddedServerError(errno: status, "starting \(arguments[0])")
        }
        return pid
    }

    /// Runs a program to its end; returns its wait status and all it printed.
    static func run(
        _ arguments: [String]
    ) throws(EmbeddedServerError) -> (status: Int32, output: String) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw EmbeddedServerError(errno: errno, "making a pipe") }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let pid: pid_t
        do {
            pid = try spawn(arguments, output: .descriptor(ends[1]))
        } catch {
            close(ends[1])
            throw error
        }
        close(ends[1])
        let output = FileSystem.readAll(ends[0])
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return (status, String(decoding: output, as: UTF8.self))
    }

    /// What a wait status says, in words.
    static func describe(status: Int32) -> String {
        let signal = status & 0x7F
        return signal == 0 ? "exit code \((status >> 8) & 0xFF)" : "signal \(signal)"
    }
}

/// What `/proc` tells of a process.
enum ProcessTable {
    /// When the process started, in clock ticks since boot; nil if it has ended.
    ///
    /// With it a process is told from a later one of the same number.
    static func startTime(_ pid: pid_t) -> UInt64? {
        // The second field is the name in parentheses, and may itself hold any character.
        guard let text = FileSystem.read("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }

    static func isRunning(_ pid: pid_t) -> Bool {
        startTime(pid) != nil
    }

    /// The processes that work in a directory.
    static func working(in directory: String) -> [pid_t] {
        guard let table = opendir("/proc") else { return [] }
        defer { closedir(table) }
        var found: [pid_t] = []
        while let entry = readdir(table) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let pid = pid_t(name), FileSystem.link("/proc/\(pid)/cwd") == directory,
                FileSystem.read("/proc/\(pid)/comm") == "postgres\n"
            else { continue }
            found.append(pid)
        }
        return found
    }
}
