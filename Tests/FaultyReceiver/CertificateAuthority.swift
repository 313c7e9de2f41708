import Foundation

/// A certificate authority of its own for one test, made with the `openssl` command in a
/// temporary directory, which goes away with it.
package final class CertificateAuthority: Sendable {
    /// A certificate, with the files that hold it and its key.
    package struct Certificate: Sendable {
        /// The file of the certificate.
        package let certificateFile: URL
        /// The file of its private key.
        package let keyFile: URL

        /// The certificate itself.
        package var certificatePEM: [UInt8] {
            get throws { try Array(Data(contentsOf: certificateFile)) }
        }
        /// Its private key.
        package var keyPEM: [UInt8] { get throws { try Array(Data(contentsOf: keyFile)) } }
    }

    /// A step of `openssl` that failed, with its own words.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// The authority's own certificate.
    package let root: Certificate
    private let directory: URL

    /// Makes an authority.
    package init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "ca-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        root = Self.certificate("root", in: directory)
        try run(
            ["req", "-x509", "-subj", "/CN=Test authority", "-days", "2"] + Self.newKey(root)
                + ["-out", root.certificateFile.path()])
    }

    deinit {
        try? FileManager.default.removeItem(at: directory)
    }

    /// Issues a certificate for a name as OpenSSL writes it, such as `IP:127.0.0.1`; it is valid
    /// for that many days from now, and negative ones make one that has expired.
    package func issue(_ file: String, name: String, days: Int = 2) throws -> Certificate {
        let certificate = Self.certificate(file, in: directory)
        let request = directory.appending(path: "\(file).csr").path()
        try run(
            ["req", "-new", "-subj", "/CN=\(file)", "-addext", "subjectAltName=\(name)"]
                + Self.newKey(certificate) + ["-out", request])
        try run([
            "x509", "-req", "-in", request, "-CA", root.certificateFile.path(), "-CAkey",
            root.keyFile.path(), "-days", String(days), "-copy_extensions", "copy", "-out",
            certificate.certificateFile.path(),
        ])
        return certificate
    }

    private static func certificate(_ name: String, in directory: URL) -> Certificate {
        Certificate(
            certificateFile: directory.appending(path: "\(name).pem"),
            keyFile: directory.appending(path: "\(name).key"))
    }

    private static func newKey(_ certificate: Certificate) -> [String] {
        [
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            certificate.keyFile.path(),
        ]
    }

    private func run(_ arguments: [String]) throws {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let words = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: String(decoding: words, as: UTF8.self))
        }
    }
}
