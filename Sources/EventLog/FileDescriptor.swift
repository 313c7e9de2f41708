import Glibc

/// A call to the operating system failed.
package struct FileError: Error, CustomStringConvertible {
    package let description: String

    /// For the call that just failed.
    init(_ doing: String) {
        description = "\(doing): \(String(cString: strerror(errno)))"
    }

    init(description: String) { self.description = description }
}

/// An open file, closed with the object.
package final class FileDescriptor {
    let number: Int32
    private let path: String

    init(creating path: String) throws(FileError) {
        self.path = path
        number = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw FileError("could not write \(path)") }
    }

    init(reading path: String) throws(FileError) {
        self.path = path
        number = open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { throw FileError("could not read \(path)") }
    }

    deinit { close(number) }

    /// Returns once what was written would survive a power cut.
    func sync() throws(FileError) {
        guard fsync(number) == 0 else { throw FileError("could not write \(path)") }
    }

    /// Writes all the bytes.
    package static func write(_ bytes: [UInt8], to descriptor: Int32) throws(FileError) {
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 {
                guard errno == EINTR else { throw FileError("could not write the export") }
            }
            start += max(0, count)
        }
    }

    /// Fills the buffer from the front; 0 at the end of the file.
    static func read(into buffer: inout [UInt8], from descriptor: Int32) throws(FileError) -> Int {
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count >= 0 { return count }
            guard errno == EINTR else { throw FileError("could not read the lines") }
        }
    }

    /// The whole file; nil if there is none.
    package static func contents(of path: String) throws(FileError) -> [UInt8]? {
        if access(path, F_OK) != 0, errno == ENOENT { return nil }
        let file = try FileDescriptor(reading: path)
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while case let count = try read(into: &buffer, from: file.number), count > 0 {
            contents += buffer[..<count]
        }
        return contents
    }

    /// Writes a file under another name first, so that it is there whole or not at all.
    static func replace(_ path: String, with contents: [UInt8]) throws(FileError) {
        let file = try FileDescriptor(creating: path + ".partial")
        try write(contents, to: file.number)
        try file.sync()
        try rename(path + ".partial", to: path)
    }

    static func rename(_ old: String, to new: String) throws(FileError) {
        guard Glibc.rename(old, new) == 0 else { throw FileError("could not rename \(old)") }
    }
}
