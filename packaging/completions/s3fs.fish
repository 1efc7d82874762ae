# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_s3fs_global_optspecs
    string join \n o= bucket= f/foreground d/debug log-level= endpoint-url= service-path= provider= path-style region= profile= passwd-file= iam-role= ecs ca-bundle= proxy= proxy-cred-file= retries= connect-timeout= readwrite-timeout= dual-stack fips accelerate requester-pays expected-bucket-owner= sse= sse-c-key= storage-class= acl= tags= no-sign-request read-only read-write allow-other nonempty uid= gid= umask= default-uid= default-gid= default-umask= mp-umask= file-mode= dir-mode= bucket-size= attr-ttl= noac cto nocto save-killed sharecache nosharecache attributes= memory-limit= staging-dir= staging-disk= ensure-diskfree= multireq-max= parallel-count= multipart-size= multipart-copy-size= s u/incomplete-mpu-list incomplete-mpu-abort= h/help V/version
end

function __fish_s3fs_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_s3fs_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_s3fs_using_subcommand
    set -l cmd (__fish_s3fs_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c s3fs -n "__fish_s3fs_needs_command" -s o -d 'Options as fstab writes them, separated by commas; see below' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l bucket -d 'What to mount, where it is not an operand' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l log-level -d 'What to log: error, warn, info, debug, trace, or a list like info,s3fs::store=debug [default: info]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l endpoint-url -l url -d 'The endpoint of the S3 service, for any but AWS' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l service-path -d 'What follows the host in it' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l provider -d 'Whose rules the service keeps: the limits it has, and what need not be verified by further requests [default: aws without --endpoint-url, express for buckets named so; other with it]' -r -f -a "aws\t''
express\t''
oss\t''
cos\t''
obs\t''
ncloud\t''
r2\t''
b2\t''
gcs\t''
wasabi\t''
ceph\t''
garage\t''
minio\t''
rustfs\t''
seaweedfs\t''
other\t''"
complete -c s3fs -n "__fish_s3fs_needs_command" -l region -d 'The region; from the AWS configuration by default' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l profile -d 'The profile of the AWS configuration files' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l passwd-file -d 'A file of credentials, as s3fs-fuse has them: lines of ACCESS:SECRET or BUCKET:ACCESS:SECRET, that only the owner may read' -r -F
complete -c s3fs -n "__fish_s3fs_needs_command" -l iam-role -d 'Take the credentials from the metadata of this instance of AWS alone: those of the role that is there (auto), or of the one named' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l ca-bundle -d 'A file of certificates in PEM to believe instead of the system\'s [default: AWS_CA_BUNDLE]' -r -F
complete -c s3fs -n "__fish_s3fs_needs_command" -l proxy -d 'The proxy to the store [default: that of HTTPS_PROXY and the like]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l proxy-cred-file -d 'A file of USER:PASSPHRASE for the proxy, both as in a URL, that only the owner may read' -r -F
complete -c s3fs -n "__fish_s3fs_needs_command" -l retries -d 'How often a request that failed is sent again, at most [default: 7]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l connect-timeout -d 'Until a connection stands [default: 10]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l readwrite-timeout -d 'Without a byte moving, and until an answer begins [default: 30, and 60]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l expected-bucket-owner -d 'The account that owns the buckets, or one of them; the store then refuses requests to a bucket that is another\'s by now [default: not checked]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l sse -d 'What the store encrypts by: s3 (keys of the store), kms (the account\'s key of the key service) or kms:KEYID [default: as the bucket\'s own settings say]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l sse-c-key -d 'A file with a key of one\'s own (SSE-C) for all sources, or for one bucket: 32 bytes, as they are or in base64, that only the owner may read. What has another key or none cannot be read' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l storage-class -d 'Storage class of new files [default: the bucket\'s]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l acl -d 'Canned ACL of what is written [default: the store\'s, on AWS private]' -r -f -a "private\t''
public-read\t''
public-read-write\t''
aws-exec-read\t''
authenticated-read\t''
bucket-owner-read\t''
bucket-owner-full-control\t''"
complete -c s3fs -n "__fish_s3fs_needs_command" -l tags -d 'Tags of new objects, as a URL\'s query, at most 10; for stores that keep tags' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l uid -d 'Owner that every file shows, whatever is stored' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l gid -d 'Group that every file shows, whatever is stored' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l umask -d 'Permission bits taken from every file and directory (of 777), whatever is stored' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l default-uid -d 'Owner of what has none stored [default: the user who mounts]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l default-gid -d 'Group of what has none stored [default: the group who mounts]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l default-umask -d 'Permission bits taken from files (of 666) and directories (of 777) that have none stored [default: 022]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l mp-umask -d 'Permission bits taken from the top directory (of 777) [default: those of directories]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l file-mode -d 'Permission bits of files that have none stored [default: from the umask]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l dir-mode -d 'Permission bits of directories that have none stored [default: from the umask]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l bucket-size -d 'Size of the filesystem, for df(1) [default: 1 EiB]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l attr-ttl -l actimeo -d 'How long attributes, names and listings are trusted [default: 1]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l attributes -d 'Where owners, modes and times of listed objects come from: a listing tells none that were stored with them' -r -f -a "auto\t'The objects, where there is a sign that a filesystem wrote there; else the listing'
objects\t'The objects: one HEAD request each'
listing\t'The listing alone: what is stored with the objects is not shown'"
complete -c s3fs -n "__fish_s3fs_needs_command" -l memory-limit -d 'Memory for cached and staged bytes and everything else [default: 256M]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l staging-dir -d 'Where written bytes go that fit neither memory nor, yet, the store [default: $TMPDIR or /var/tmp]' -r -F
complete -c s3fs -n "__fish_s3fs_needs_command" -l staging-disk -d 'Most bytes there [default: 10G]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l ensure-diskfree -d 'Leave so many MiB free there: most bytes are lowered to that when mounting' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l multireq-max -d 'HEAD requests of one listing under way at a time [default: 32]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l parallel-count -d 'Uploads and copies of one file under way at a time [default: 8]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l multipart-size -d 'Size of an uploaded part in MiB, 5 to 5120 [default: 8]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l multipart-copy-size -d 'Size of a copied part in MiB, 5 to 5120 [default: 256]' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -l incomplete-mpu-abort -d 'Abort unfinished uploads, as s3fs-fuse does: refused' -r
complete -c s3fs -n "__fish_s3fs_needs_command" -s f -l foreground -d 'Stay in front and log to stderr'
complete -c s3fs -n "__fish_s3fs_needs_command" -s d -l debug -d 'Stay in front and log every request'
complete -c s3fs -n "__fish_s3fs_needs_command" -l path-style -l use-path-request-style -d 'Put the bucket into the path instead of the host name, whatever the provider says; those that run on one\'s own machines have it there anyway'
complete -c s3fs -n "__fish_s3fs_needs_command" -l ecs -d 'Take the credentials from this container of AWS alone'
complete -c s3fs -n "__fish_s3fs_needs_command" -l dual-stack -d 'Use AWS\'s endpoints that are reached by IPv6 too'
complete -c s3fs -n "__fish_s3fs_needs_command" -l fips -d 'Use AWS\'s endpoints whose cryptography is validated by FIPS 140'
complete -c s3fs -n "__fish_s3fs_needs_command" -l accelerate -d 'Use AWS\'s endpoints near the client (Transfer Acceleration), for buckets that have it on'
complete -c s3fs -n "__fish_s3fs_needs_command" -l requester-pays -d 'Pay for requests and transfer, for buckets whose owner does not'
complete -c s3fs -n "__fish_s3fs_needs_command" -l no-sign-request -d 'Send unsigned requests, for public buckets'
complete -c s3fs -n "__fish_s3fs_needs_command" -l read-only -d 'Refuse every change'
complete -c s3fs -n "__fish_s3fs_needs_command" -l read-write -d 'Allow changes'
complete -c s3fs -n "__fish_s3fs_needs_command" -l allow-other -d 'Let other users in (without root: needs user_allow_other in /etc/fuse.conf)'
complete -c s3fs -n "__fish_s3fs_needs_command" -l nonempty -d 'Mount over a directory that has entries'
complete -c s3fs -n "__fish_s3fs_needs_command" -l noac -d 'Trust nothing for any time, and store every write before it returns'
complete -c s3fs -n "__fish_s3fs_needs_command" -l cto -d 'Ask at every open whether the object was replaced (the default)'
complete -c s3fs -n "__fish_s3fs_needs_command" -l nocto -d 'Believe at an open what is known for less than the trust time: a request less'
complete -c s3fs -n "__fish_s3fs_needs_command" -l save-killed -d 'Publish nothing of what a process has written that a signal kills: keep the old object, and the bytes in the staging directory'
complete -c s3fs -n "__fish_s3fs_needs_command" -l sharecache -d 'Share a daemon with mounts that have the same options, so that copies between them are the store\'s work (the default, for root and in the background)'
complete -c s3fs -n "__fish_s3fs_needs_command" -l nosharecache -d 'Have a daemon of its own'
complete -c s3fs -n "__fish_s3fs_needs_command" -s s -d 'One thread, as libfuse has it: requests never wait for each other here'
complete -c s3fs -n "__fish_s3fs_needs_command" -s u -l incomplete-mpu-list -d 'List unfinished uploads, as s3fs-fuse does: refused'
complete -c s3fs -n "__fish_s3fs_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c s3fs -n "__fish_s3fs_needs_command" -s V -l version -d 'Print version'
complete -c s3fs -n "__fish_s3fs_needs_command" -a "mount" -d 'Mount buckets (the default command)'
complete -c s3fs -n "__fish_s3fs_needs_command" -a "upgrade" -d 'Have a mount go on in this program, as after an update, with everything that is open'
complete -c s3fs -n "__fish_s3fs_needs_command" -a "probe" -d 'Try what an S3 service does against what its provider\'s rules claim, and print both'
complete -c s3fs -n "__fish_s3fs_needs_command" -a "demo" -d 'Mount buckets made up by an S3 service inside the program, to try it out'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -s o -d 'Options as fstab writes them, separated by commas; see below' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l bucket -d 'What to mount, where it is not an operand' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l log-level -d 'What to log: error, warn, info, debug, trace, or a list like info,s3fs::store=debug [default: info]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l endpoint-url -l url -d 'The endpoint of the S3 service, for any but AWS' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l service-path -d 'What follows the host in it' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l provider -d 'Whose rules the service keeps: the limits it has, and what need not be verified by further requests [default: aws without --endpoint-url, express for buckets named so; other with it]' -r -f -a "aws\t''
express\t''
oss\t''
cos\t''
obs\t''
ncloud\t''
r2\t''
b2\t''
gcs\t''
wasabi\t''
ceph\t''
garage\t''
minio\t''
rustfs\t''
seaweedfs\t''
other\t''"
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l region -d 'The region; from the AWS configuration by default' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l profile -d 'The profile of the AWS configuration files' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l passwd-file -d 'A file of credentials, as s3fs-fuse has them: lines of ACCESS:SECRET or BUCKET:ACCESS:SECRET, that only the owner may read' -r -F
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l iam-role -d 'Take the credentials from the metadata of this instance of AWS alone: those of the role that is there (auto), or of the one named' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l ca-bundle -d 'A file of certificates in PEM to believe instead of the system\'s [default: AWS_CA_BUNDLE]' -r -F
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l proxy -d 'The proxy to the store [default: that of HTTPS_PROXY and the like]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l proxy-cred-file -d 'A file of USER:PASSPHRASE for the proxy, both as in a URL, that only the owner may read' -r -F
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l retries -d 'How often a request that failed is sent again, at most [default: 7]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l connect-timeout -d 'Until a connection stands [default: 10]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l readwrite-timeout -d 'Without a byte moving, and until an answer begins [default: 30, and 60]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l expected-bucket-owner -d 'The account that owns the buckets, or one of them; the store then refuses requests to a bucket that is another\'s by now [default: not checked]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l sse -d 'What the store encrypts by: s3 (keys of the store), kms (the account\'s key of the key service) or kms:KEYID [default: as the bucket\'s own settings say]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l sse-c-key -d 'A file with a key of one\'s own (SSE-C) for all sources, or for one bucket: 32 bytes, as they are or in base64, that only the owner may read. What has another key or none cannot be read' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l storage-class -d 'Storage class of new files [default: the bucket\'s]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l acl -d 'Canned ACL of what is written [default: the store\'s, on AWS private]' -r -f -a "private\t''
public-read\t''
public-read-write\t''
aws-exec-read\t''
authenticated-read\t''
bucket-owner-read\t''
bucket-owner-full-control\t''"
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l tags -d 'Tags of new objects, as a URL\'s query, at most 10; for stores that keep tags' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l uid -d 'Owner that every file shows, whatever is stored' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l gid -d 'Group that every file shows, whatever is stored' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l umask -d 'Permission bits taken from every file and directory (of 777), whatever is stored' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l default-uid -d 'Owner of what has none stored [default: the user who mounts]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l default-gid -d 'Group of what has none stored [default: the group who mounts]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l default-umask -d 'Permission bits taken from files (of 666) and directories (of 777) that have none stored [default: 022]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l mp-umask -d 'Permission bits taken from the top directory (of 777) [default: those of directories]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l file-mode -d 'Permission bits of files that have none stored [default: from the umask]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l dir-mode -d 'Permission bits of directories that have none stored [default: from the umask]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l bucket-size -d 'Size of the filesystem, for df(1) [default: 1 EiB]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l attr-ttl -l actimeo -d 'How long attributes, names and listings are trusted [default: 1]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l attributes -d 'Where owners, modes and times of listed objects come from: a listing tells none that were stored with them' -r -f -a "auto\t'The objects, where there is a sign that a filesystem wrote there; else the listing'
objects\t'The objects: one HEAD request each'
listing\t'The listing alone: what is stored with the objects is not shown'"
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l memory-limit -d 'Memory for cached and staged bytes and everything else [default: 256M]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l staging-dir -d 'Where written bytes go that fit neither memory nor, yet, the store [default: $TMPDIR or /var/tmp]' -r -F
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l staging-disk -d 'Most bytes there [default: 10G]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l ensure-diskfree -d 'Leave so many MiB free there: most bytes are lowered to that when mounting' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l multireq-max -d 'HEAD requests of one listing under way at a time [default: 32]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l parallel-count -d 'Uploads and copies of one file under way at a time [default: 8]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l multipart-size -d 'Size of an uploaded part in MiB, 5 to 5120 [default: 8]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l multipart-copy-size -d 'Size of a copied part in MiB, 5 to 5120 [default: 256]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l incomplete-mpu-abort -d 'Abort unfinished uploads, as s3fs-fuse does: refused' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -s f -l foreground -d 'Stay in front and log to stderr'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -s d -l debug -d 'Stay in front and log every request'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l path-style -l use-path-request-style -d 'Put the bucket into the path instead of the host name, whatever the provider says; those that run on one\'s own machines have it there anyway'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l ecs -d 'Take the credentials from this container of AWS alone'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l dual-stack -d 'Use AWS\'s endpoints that are reached by IPv6 too'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l fips -d 'Use AWS\'s endpoints whose cryptography is validated by FIPS 140'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l accelerate -d 'Use AWS\'s endpoints near the client (Transfer Acceleration), for buckets that have it on'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l requester-pays -d 'Pay for requests and transfer, for buckets whose owner does not'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l no-sign-request -d 'Send unsigned requests, for public buckets'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l read-only -d 'Refuse every change'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l read-write -d 'Allow changes'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l allow-other -d 'Let other users in (without root: needs user_allow_other in /etc/fuse.conf)'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l nonempty -d 'Mount over a directory that has entries'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l noac -d 'Trust nothing for any time, and store every write before it returns'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l cto -d 'Ask at every open whether the object was replaced (the default)'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l nocto -d 'Believe at an open what is known for less than the trust time: a request less'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l save-killed -d 'Publish nothing of what a process has written that a signal kills: keep the old object, and the bytes in the staging directory'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l sharecache -d 'Share a daemon with mounts that have the same options, so that copies between them are the store\'s work (the default, for root and in the background)'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -l nosharecache -d 'Have a daemon of its own'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -s s -d 'One thread, as libfuse has it: requests never wait for each other here'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -s u -l incomplete-mpu-list -d 'List unfinished uploads, as s3fs-fuse does: refused'
complete -c s3fs -n "__fish_s3fs_using_subcommand mount" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c s3fs -n "__fish_s3fs_using_subcommand upgrade" -s h -l help -d 'Print help'
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -s o -d 'How to reach the store, as for a mount' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l log-level -d 'What to log: error, warn, info, debug, trace, or a list like info,s3fs::store=debug' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l endpoint-url -l url -d 'The endpoint of the S3 service, for any but AWS' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l service-path -d 'What follows the host in it' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l provider -d 'Whose rules the service keeps: the limits it has, and what need not be verified by further requests [default: aws without --endpoint-url, express for buckets named so; other with it]' -r -f -a "aws\t''
express\t''
oss\t''
cos\t''
obs\t''
ncloud\t''
r2\t''
b2\t''
gcs\t''
wasabi\t''
ceph\t''
garage\t''
minio\t''
rustfs\t''
seaweedfs\t''
other\t''"
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l region -d 'The region; from the AWS configuration by default' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l profile -d 'The profile of the AWS configuration files' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l passwd-file -d 'A file of credentials, as s3fs-fuse has them: lines of ACCESS:SECRET or BUCKET:ACCESS:SECRET, that only the owner may read' -r -F
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l iam-role -d 'Take the credentials from the metadata of this instance of AWS alone: those of the role that is there (auto), or of the one named' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l ca-bundle -d 'A file of certificates in PEM to believe instead of the system\'s [default: AWS_CA_BUNDLE]' -r -F
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l proxy -d 'The proxy to the store [default: that of HTTPS_PROXY and the like]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l proxy-cred-file -d 'A file of USER:PASSPHRASE for the proxy, both as in a URL, that only the owner may read' -r -F
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l retries -d 'How often a request that failed is sent again, at most [default: 7]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l connect-timeout -d 'Until a connection stands [default: 10]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l readwrite-timeout -d 'Without a byte moving, and until an answer begins [default: 30, and 60]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l expected-bucket-owner -d 'The account that owns the buckets, or one of them; the store then refuses requests to a bucket that is another\'s by now [default: not checked]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l sse -d 'What the store encrypts by: s3 (keys of the store), kms (the account\'s key of the key service) or kms:KEYID [default: as the bucket\'s own settings say]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l sse-c-key -d 'A file with a key of one\'s own (SSE-C) for all sources, or for one bucket: 32 bytes, as they are or in base64, that only the owner may read. What has another key or none cannot be read' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l storage-class -d 'Storage class of new files [default: the bucket\'s]' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l acl -d 'Canned ACL of what is written [default: the store\'s, on AWS private]' -r -f -a "private\t''
public-read\t''
public-read-write\t''
aws-exec-read\t''
authenticated-read\t''
bucket-owner-read\t''
bucket-owner-full-control\t''"
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l tags -d 'Tags of new objects, as a URL\'s query, at most 10; for stores that keep tags' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l path-style -l use-path-request-style -d 'Put the bucket into the path instead of the host name, whatever the provider says; those that run on one\'s own machines have it there anyway'
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l ecs -d 'Take the credentials from this container of AWS alone'
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l dual-stack -d 'Use AWS\'s endpoints that are reached by IPv6 too'
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l fips -d 'Use AWS\'s endpoints whose cryptography is validated by FIPS 140'
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l accelerate -d 'Use AWS\'s endpoints near the client (Transfer Acceleration), for buckets that have it on'
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l requester-pays -d 'Pay for requests and transfer, for buckets whose owner does not'
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -l no-sign-request -d 'Send unsigned requests, for public buckets'
complete -c s3fs -n "__fish_s3fs_using_subcommand probe" -s h -l help -d 'Print help'
complete -c s3fs -n "__fish_s3fs_using_subcommand demo" -l keep -d 'Keep the buckets in this directory instead of in memory' -r -F
complete -c s3fs -n "__fish_s3fs_using_subcommand demo" -l log-level -d 'What to log: error, warn, info, debug, trace, or a list like info,s3fs::store=debug' -r
complete -c s3fs -n "__fish_s3fs_using_subcommand demo" -s h -l help -d 'Print help'
