//! Programs that commands begin with, and spellings that only commands have: one table each.

use std::sync::LazyLock;

use crate::analysis::signature::needles::{self, Words};

/// Programs whose names are no words of a sentence.
pub(super) static PROGRAMS: Words = LazyLock::new(|| {
    needles::words(
        "ansible-config ansible-console ansible-doc ansible-galaxy ansible-pull chef chef-shell chef-solo chef-server-ctl \
         rmt-dump rmt-star ssh-copy-id regedit bridge comm \
         aa-exec ansible-test arj arp-scan ash aspell bpftool bzip2 cdist certbot choom clamscan composer cowsay \
         ctr cupsfilter dash debugfs dmidecode dos2unix dvips easyrsa efax elvish enscript espeak facter ffmpeg \
         gawk gcloud gcore genie genisoimage getfattr getfacl setfacl hping3 ispell jshell julia ksu latexmk logrotate \
         luatex lwp-download lwp-request minicom mosquitto ncdu ncftp neofetch octave openvt opkg pax pdb pdftex pexec \
         pg_dumpall pkg pnpm psftp ptx puppet pylint pytest rake readelf restic rpmdb rpmquery rpmverify runscript \
         rustup setarch setlock sg sqlmap ssh-add sshfs systemd-resolve tasksh tic timedatectl unexpand unsquashfs \
         unzip update-alternatives vagrant varnishncsa wg-quick xdg-open xdg-user-dir xpad yash yelp dialog \
         addinutil aspnet_compiler bginfo certoc certreq cmdkey cmstp conhost csc dcomcnfg diantz dism dnscmd esentutl \
         eventvwr extrac32 findstr fltmc forfiles gpscript iexpress ilasm installutil jsc ldifde makecab mavinject mmc \
         mpcmdrun msbuild msconfig msdt msiexec ngen odbcconf pcalua pcwrun pktmon pnputil presentationhost psr \
         rasautou regasm regini regsvcs rpcping runonce schtasks scriptrunner vbc verclsid wab winget wsreset xwizard \
         quser nltest dsquery vssadmin wevtutil fsutil bcdedit diskpart gpresult getmac driverquery tskill nbtstat \
         pathping wmiprvse bash.exe explorer.exe at.exe sc.exe ftp.exe certutil.exe curl.exe tar.exe ansible-inventory ansible-vault ansible-playbook chef-vault chef-run \
         chef-client agetty ascii-xfr bconsole bpftrace busctl byebug cobc cpan cpio cpulimit csplit cscli csvtool \
         dmsetup dosbox dstat dvips easy_install exiftool fping ghci ginsh gnuplot gtester hping3 iconv iftop jq \
         ksshell ksu ldconfig lftp logsave loginctl lualatex mawk msfconsole mtr multitime nasm nawk nft ngrok nroff \
         openvpn pandoc pdflatex perlbug pidstat rlwrap run-parts rview rvim scanmem scrot slsh smbclient ssh-agent \
         ssh-keygen ssh-keyscan sshpass start-stop-daemon svn sysctl tdbtool tmate torify torsocks troff uudecode \
         uuencode valgrind vigr vimdiff vipw whiptail xdotool xelatex xmodmap xz zathura zip zsoelim zypper mycli \
         iwr irm rmt rmt-tar c89 c99 uconv visudo base32 basenc whoami ifconfig ipconfig netstat uname curl wget nc ncat netcat nslookup bash sh zsh ksh csh tcsh rbash \
     perl python python2 python3 ruby php lua gcc chmod chown chgrp chroot passwd sudo su mkdir rmdir rm cp mv \
     ln ls pwd ps tftp ftp scp sftp ssh telnet socat awk gawk sed grep egrep fgrep zgrep xargs tar gzip gunzip \
     base64 xxd hexdump crontab systemctl iptables tcpdump nmap dig traceroute tracert tasklist taskkill \
     systeminfo sysinfo powershell pwsh powershell.exe cmd cmd.exe wmic certutil bitsadmin rundll32 regsvr32 \
     mshta cscript wscript icacls netsh getent useradd adduser userdel usermod busybox printenv lsof umount \
     dmesg lsblk lastlog rsync gdb strace ltrace openssl nohup dir ver tac nl od ncat.exe lscpu lspci lsmod \
     lsusb route arp hostname hostnamectl vmstat iostat pkill killall pgrep chsh chattr lsattr mkfifo mknod \
     insmod modprobe mysqldump pg_dump sqlite3 psql redis-cli phpinfo ping6 ping.exe net.exe vim vi emacs nano \
     pico ed ex rlogin rsh rexec shutdown reboot printf nice ionice setsid stdbuf tclsh expect irb jjs \
     jrunscript gem rpm dpkg apt apt-get yum dnf apk pip pip3 npm docker kubectl perf tshark ss aria2c axel \
     lynx w3m wall mail mailx sendmail ulimit umask unlink uptime capsh unshare nsenter pkexec doas runuser \
     logname groups htop atop ansible",
    )
});

/// Programs whose names are words: they need an argument that no sentence has.
pub(super) static WORDS: Words = LazyLock::new(|| {
    needles::words(
        "id cat find more less sort date time who type echo sleep kill head tail cut make test at host net env \
     ping set export touch split join look last write file tree top free history finger copy del move start \
     where which whereis locate exit exec eval source mount strings tee uniq wc node java go git reg attrib w \
     users timeout screen tmux bind watch service command print read dash man diff patch install crash column \
     fold paste link cd trap view mysql mongo",
    )
});

/// Words of PowerShell, and spellings by which shells take each other over.
pub(in crate::analysis::signature) const SPELLED: &[&str] = &[
    "${ifs",
    "--checkpoint-action=",
    "--use-compress-program",
    "proxycommand=",
    "$ifs",
    "/dev/tcp/",
    "/dev/udp/",
    "invoke-expression",
    "invoke-webrequest",
    "invoke-command",
    "downloadstring(",
    "downloadfile(",
    "new-object net.",
    "new-object system.net",
    "start-process",
    "() {",
    "(){:",
    "() { ",
    "-encodedcommand",
    "bash -i",
    "nc -e",
    "nc -l",
    "ncat -e",
    "/bin/sh",
    "/bin/bash",
    "/bin/cat",
    "/bin/ls",
    "/bin/id",
    "/usr/bin/id",
    "/bin/nc",
    "/bin/ping",
    "/bin/wget",
    "/bin/curl",
    "/bin/python",
    "/bin/perl",
    "cmd /c",
    "cmd.exe",
    "powershell -",
    "powershell.exe",
    "%comspec%",
    "%systemroot%",
    "$shell",
    "${path:",
    "${shell",
    "<<<",
    "get-childitem",
    "get-process",
    "get-content ",
    "set-executionpolicy",
    "iex(",
    "iex (",
];
