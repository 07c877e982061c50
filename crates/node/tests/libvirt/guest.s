# The guest of tests/libvirt.rs: a boot sector that answers the power button.
#
# It prints "guest: ready" to the serial port, then waits. It switches itself off when the power button
# is pressed (ACPI) or when it reads the letter "o".
#
# as --32 guest.s -o guest.o && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o guest.bin guest.o
        .code16
        .globl _start
_start: cli
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x7c00, %sp
        sti
        mov     $ready, %si
        call    say
        # Ask the chipset to report the power button (PM1_EN, bit 8).
        mov     $0x602, %dx
        mov     $0x0100, %ax
        out     %ax, %dx
idle:   mov     $0x600, %dx
        in      %dx, %ax
        test    $0x01, %ah
        jnz     off
        mov     $0x3fd, %dx
        in      %dx, %al
        test    $1, %al
        jz      idle
        mov     $0x3f8, %dx
        in      %dx, %al
        cmp     $'o', %al
        jne     idle
off:    mov     $0x604, %dx
        mov     $0x2000, %ax
        out     %ax, %dx
        jmp     off
say:    lodsb
        test    %al, %al
        jz      said
        mov     %al, %bl
busy:   mov     $0x3fd, %dx
        in      %dx, %al
        test    $0x20, %al
        jz      busy
        mov     %bl, %al
        mov     $0x3f8, %dx
        out     %al, %dx
        jmp     say
said:   ret
ready:  .asciz  "\r\nguest: ready\r\n"
        .org    510
        .byte   0x55, 0xaa
